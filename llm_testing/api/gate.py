"""Who gets in: every request's Host, Origin, forwarding, token and size are judged before a byte of its body is read.

The page answers this machine's own browser and scripts. A name that was rebound to 127.0.0.1, another site's form or
script, a proxy or tunnel, and a body that would fill the memory are refused here, in front of Gradio and all routes.
Gradio alone would run a cross-site POST and only withhold the answer.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.middleware import Middleware

from llm_testing.api import turnstile
from llm_testing.api.body import UPLOADS, Asgi, Body, Message, Receive, Refusal, Scope, Send, refuse
from llm_testing.api.early import EarlyScript
from llm_testing.api.entrance import entering
from llm_testing.api.host import is_address, parse_host
from llm_testing.service.budgets import BUDGETS
from llm_testing.service.doors import ENTRY, TokenDoor
from llm_testing.service.places import LOCAL_NAMES, Place, Setting
from llm_testing.service.roles import DOOR

ON_THIS_MACHINE = Setting(Place.LOCAL)
SHARE_HOST = re.compile(r"[a-z0-9-]{1,63}\.gradio\.live")
STARTUP = "/gradio_api/startup-events"
SPACE_PAGES = ("/", "/login/huggingface", "/login/callback")
SPACE_FRAMES = "frame-ancestors 'self' https://huggingface.co"
"""Not *.hf.space: that is every Space, and any of them could lay the owner's clicks under a page of its own."""
MOST_BODY_BYTES = max(budget.body_bytes for budget in BUDGETS.values())
MOST_UPLOAD_BYTES = 2 * 2**30
FORWARDING = ("forwarded", "via", "x-real-ip", "x-original-host")
# Gradio's page writes inline scripts and styles and compiles its templates, so these two words cannot be taken away.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def judge(
    method: str, path: str, headers: dict[str, str], port: int, setting: Setting = ON_THIS_MACHINE
) -> Refusal | None:
    """Whether a request may come in; None if it may.

    Args:
        headers: by lower-case name.
        port: that we listen on; a Host with another one is a tunnel's or a rebound name's.
        setting: where the page stands.
    """
    if setting.place == Place.UNKNOWN:
        return Refusal(403, "Where this page stands is not known, so nobody is let in.")
    if not path.startswith("/"):  # a whole address, as proxies are asked, or a star
        return Refusal(400, "A request names a path here.")
    host = headers.get("host", "")
    secure = secure_name(host, setting)
    if not secure and not _is_own_name(host, port, setting):
        return Refusal(421, f"This page answers as 127.0.0.1:{port} only.")
    forwarded = any(name in FORWARDING or name.startswith("x-forwarded-") for name in headers)
    if forwarded and setting.place in (Place.LOCAL, Place.LAN):
        return Refusal(403, "Requests through a proxy or tunnel are refused.")
    origin = headers.get("origin")
    if origin is not None and origin != f"{'https' if secure else 'http'}://{host}":
        return Refusal(403, "Requests from another site are refused.")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        # A link on another site may open the page itself, and a Space's frame show it; nothing else, nothing that acts.
        on_a_space = setting.place in (Place.SPACE, Place.DEMO)
        kinds, pages = (("document", "iframe"), SPACE_PAGES) if on_a_space else (("document",), ("/", ENTRY))
        if method != "GET" or path not in pages or headers.get("sec-fetch-dest") not in kinds:
            return Refusal(403, "Requests from another site are refused.")
    return None


def secure_name(host: str, setting: Setting) -> bool:
    """Whether a Host is the public name of a Space or of a share link: those are reached by https alone."""
    if setting.place in (Place.SPACE, Place.DEMO):
        return host.lower() in setting.hosts
    # Nobody else can point a name of the share server's at us, so any of them is our tunnel's.
    return setting.place == Place.SHARE and SHARE_HOST.fullmatch(host.lower()) is not None


def _is_own_name(host: str, port: int, setting: Setting) -> bool:
    """Whether a Host is this machine's: a name that was rebound to its address is not."""
    parsed = parse_host(host)
    if parsed is None or parsed[1] != port:
        return False
    name = parsed[0]
    if name in LOCAL_NAMES or setting.place == Place.LAN and name in setting.hosts:
        return True
    return setting.place in (Place.LAN, Place.SPACE, Place.DEMO) and is_address(name)


class Gate:
    """An ASGI app that lets through to another one only who may come in by a door, and says by which they came.

    Args:
        most_body_bytes: that anybody's request may hold; what each role may is the turnstile's to say.
    """

    def __init__(self, app: Asgi, most_body_bytes: int = MOST_BODY_BYTES, door: TokenDoor | None = None):
        self.app = app
        self.most_body_bytes = most_body_bytes
        self.door = door or TokenDoor(ON_THIS_MACHINE)
        self.headers = headers_for(self.door.place)
        self._starting = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # a web socket; the page uses none
            return await send({"type": "websocket.close", "code": 1008})
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        repeated = [name for name, _ in scope["headers"] if name.lower() in (b"host", b"origin", b"content-length")]
        setting = self.door.setting
        refusal = judge(scope["method"], scope["path"], headers, scope["server"][1], setting)
        if refusal is None and len(repeated) != len(set(repeated)):
            refusal = Refusal(400, "A header that decides was sent twice.")
        if refusal is not None:
            return await self._refuse(send, refusal)
        scope, send = {**scope, DOOR: self.door}, _guarded(send, self.headers)
        # Gradio's launch asks its own server once whether it has begun, and brings no token.
        begins = self._starting and scope["path"] == STARTUP
        self._starting = self._starting and not begins
        if not begins and (answer := entering(self.door, scope, secure_name(headers.get("host", ""), setting))):
            if answer.status_code == 429:  # a wrong link too many
                await asyncio.sleep(turnstile.REFUSED_AFTER_S)
            return await answer(scope, receive, send)
        in_pieces = (scope["method"], scope["path"]) in UPLOADS
        most_bytes = MOST_UPLOAD_BYTES if in_pieces else self.most_body_bytes
        body = Body(scope["headers"], receive, send, most_bytes, in_pieces)
        if refusal := body.refusal():
            return await refuse(send, refusal)
        await body.serve(self.app, scope)

    async def _refuse(self, send: Send, refusal: Refusal) -> None:
        body = refusal.reason.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        start = {"type": "http.response.start", "status": refusal.status, "headers": [*headers, *self.headers]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def headers_for(place: Place) -> tuple[tuple[bytes, bytes], ...]:
    """What every answer carries; a Space's page sits in a frame of huggingface.co."""
    if place not in (Place.SPACE, Place.DEMO):
        return SECURITY_HEADERS
    policy = CONTENT_POLICY.replace("frame-ancestors 'self'", SPACE_FRAMES)
    kept = {**dict(SECURITY_HEADERS), b"content-security-policy": policy.encode()}
    del kept[b"x-frame-options"]
    return tuple(kept.items())


def _guarded(send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> Send:
    """A send that takes away what Gradio tells other origins, and adds our own headers."""
    ours = {name for name, _ in headers} | {b"x-frame-options"}

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-") and name.lower() not in ours
            ]
            message = {**message, "headers": [*kept, *headers]}
        await send(message)

    return send_guarded


def gate_of(door: TokenDoor | None = None) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan that puts the gate in front of a whole app, outside of every middleware that Gradio adds.

    Middleware given to the app would stand behind Gradio's own, whose CORS answers it could not take back.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.user_middleware.append(Middleware(turnstile.Turnstile))  # the last is the innermost
        app.middleware_stack = Gate(EarlyScript(app.build_middleware_stack()), door=door)
        yield

    return lifespan
