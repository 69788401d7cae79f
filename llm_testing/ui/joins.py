"""Gradio's queue of handler calls, held to what each role may have of it.

Whoever joins it gets an answer by a stream that is opened afterwards; one who never opens it leaves the answer, and all
that was sent, in memory for good. So a share of the asker's is taken with each call and comes back once the answer was
fetched, and what nobody fetches is thrown away. The shares stand in place of Gradio's one cap for everybody, by which
viewers could keep the owner out.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException

from llm_testing.errors import TooMany
from llm_testing.service.budgets import Kind, Slot, client_of
from llm_testing.service.roles import door_of, role_of

FETCHED_WITHIN_S = 15.0
"""How long an answer waits for the stream that takes it; a page opens its own before it joins, or right after."""
LOOK_EVERY_S = 1.0
Pushed = tuple[bool, Any, str]


def limit_joins(queue: Any, fetched_within_s: float = FETCHED_WITHIN_S) -> None:
    """Hold a page's queue to the shares of its askers."""
    queue.push = Joins(queue, fetched_within_s).push
    # Gradio keeps the last 10,000 calls for a page of statistics that is off here, and sums them up after each call.
    queue.ANALYTICS_MAX_EVENTS = 0


@dataclass
class _Join:
    """A call in the queue, with what was taken for it."""

    session: str
    event_id: str
    slot: Slot
    ended_at: float | None = None


class Joins:
    """The calls in a Gradio queue whose answers were not fetched yet. Used in the event loop alone."""

    def __init__(self, queue: Any, fetched_within_s: float):
        self._queue, self._push, self._fetched_within_s = queue, queue.push, fetched_within_s
        self._open: list[_Join] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def push(self, body: Any, request: Any, username: str | None) -> Pushed:
        """Put a call into the queue, as Gradio's own `push` does, where the asker's share has room for it."""
        await self._settle()
        door = door_of(request)
        if door is None:
            return False, "A call comes in by a door.", "error"
        try:
            slot = door.budgets.take(Kind.JOINS, role_of(request), client_of(request.scope, door.place))
        except TooMany as error:
            raise HTTPException(429, str(error), {"retry-after": str(error.retry_after_s)}) from None
        try:
            pushed, event_id, state = await self._push(body=body, request=request, username=username)
        except BaseException:
            slot.release()
            raise
        if pushed:
            self._open.append(_Join(body.session_hash, event_id, slot))
            if self._sweeper is None or self._sweeper.done():
                self._sweeper = asyncio.create_task(self._sweep())
        else:
            slot.release()
        return pushed, event_id, state

    async def _sweep(self) -> None:
        while self._open:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._settle()

    async def _settle(self) -> None:
        """Give back what was taken for answers that were fetched; throw away those that nobody fetches."""
        now, lost = time.monotonic(), set()
        for join in self._open:
            if join.event_id not in self._queue.pending_event_ids_session.get(join.session, ()):
                join.slot.release()
            elif join.event_id not in self._queue.event_ids_to_events:
                join.ended_at = join.ended_at or now
                if now - join.ended_at >= self._fetched_within_s:
                    lost.add(join.session)
        for join in self._open:
            if join.session in lost:  # an open stream would have taken the answer, so nothing else of it is awaited
                join.slot.release()
        self._open = [join for join in self._open if join.slot.is_held]
        for session in lost:
            await self._forget(session)

    async def _forget(self, session: str) -> None:
        await self._queue.clean_events(session_hash=session)
        self._queue.pending_messages_per_session.pop(session, None)
        self._queue.pending_event_ids_session.pop(session, None)
