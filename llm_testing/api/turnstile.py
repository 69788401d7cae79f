"""How much of the server each role and each client may have at once, in front of every route.

It stands inside of Gradio's own layers, since on a Space its session says who asks.
"""

from contextlib import ExitStack
from typing import Any

from llm_testing.api.body import BODY, Asgi, Body, Receive, Refusal, Scope, Send, refuse
from llm_testing.errors import TooMany
from llm_testing.service.budgets import JOIN_SHARE, Kind, Slot, client_of
from llm_testing.service.doors import TokenDoor
from llm_testing.service.roles import DOOR, Role, door_of, role_of

OPEN_PAGES = ("/gradio_api/heartbeat/", "/gradio_api/queue/data")
"""Gradio's answers that last as long as a page is open."""
JOINS = ("/gradio_api/queue/join", "/gradio_api/call/")
"""Gradio's two ways into its queue: its page's and clients', and the one for curl."""
REFUSED_AFTER_S = 1.0
"""How long one who is no owner waits to hear that it asks for too much."""
TURN = "llm_testing.turn"
"""Where a request's scope keeps its turn, which goes back early where the answer lasts and has a share of its own."""


class Turnstile:
    """An ASGI app that lets requests to another one when it is their turn, and refuses those that are too many.

    A request without a door passes: the gate in front lets none in without one.
    """

    def __init__(self, app: Asgi):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door: TokenDoor | None = scope.get(DOOR)
        if scope["type"] != "http" or door is None:
            return await self.app(scope, receive, send)
        role, client = door.role_of(scope), client_of(scope, door.place)
        body: Body = scope[BODY]
        body.narrow(door.budgets.table[role].body_bytes)
        if refusal := body.refusal():
            return await refuse(send, refusal)
        held = {}
        with ExitStack() as stack:
            try:
                if scope["path"].startswith(OPEN_PAGES):
                    stack.enter_context(door.budgets.take(Kind.PAGES, role, client))
                else:
                    if scope["method"] == "POST" and scope["path"].startswith(JOINS):
                        # The answer outlasts this request, so the queue takes it over.
                        held[JOIN_SHARE] = stack.enter_context(door.budgets.take(Kind.JOINS, role, client))
                    held[TURN] = stack.enter_context(await door.budgets.turn(role, client))
            except TooMany as error:
                refusal = Refusal(429, str(error), error.retry_after_s)
            else:
                return await self.app({**scope, **held}, receive, send)
        # What was taken has gone back: nothing is held by who waits to be refused.
        await refuse(send, refusal, 0.0 if role == Role.OWNER else REFUSED_AFTER_S)


def share_of(request: Any, kind: Kind) -> Slot:
    """Take one of the asker's share of something that lasts, and give the request's turn to the next.

    Raises:
        TooMany: the share is used up.
    """
    door: TokenDoor | None = door_of(request)
    if door is None:
        raise ValueError("A request without a door has no share of anything.")
    slot = door.budgets.take(kind, role_of(request), client_of(request.scope, door.place))
    if turn := request.scope.get(TURN):
        turn.release()
    return slot
