"""Who gets in: every request's Host, Origin, forwarding and size are checked before anything of it is parsed.

The page answers this machine's own browser and scripts. A name that was rebound to 127.0.0.1, another site's form or
script, a proxy or tunnel, and a body that would fill the memory are refused here, in front of Gradio and all routes.
Gradio alone would run a cross-site POST and only withhold the answer.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from llm_testing.api.early import EarlyScript
from llm_testing.api.entrance import entering
from llm_testing.service.doors import ENTRY, TokenDoor
from llm_testing.service.places import LOCAL_NAMES, Place, Setting
from llm_testing.service.roles import DOOR

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

ON_THIS_MACHINE = Setting(Place.LOCAL)
SHARE_HOST = re.compile(r"[a-z0-9-]{1,63}\.gradio\.live")
STARTUP = "/gradio_api/startup-events"
SPACE_PAGES = ("/", "/login/huggingface", "/login/callback")
SPACE_FRAMES = "frame-ancestors 'self' https://huggingface.co https://*.hf.space"
MOST_BODY_BYTES = 2 * 2**20
OFTEN = "/live/"
UPLOADS = (("POST", "/api/pretraining/archive"), ("POST", "/api/uploads"))
"""Whose bodies are files: they pass in pieces to a route that looks who asks before it reads any."""
MOST_UPLOAD_BYTES = 2 * 2**30
BODY_WITHIN_S = 30.0
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


@dataclass(frozen=True)
class Refusal:
    """A status and the sentence that goes with it."""

    status: int
    reason: str


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
    try:
        named, named_port = urlsplit(f"//{host}").hostname, urlsplit(f"//{host}").port or 80
    except ValueError:
        return False
    if named_port != port or named is None:
        return False
    if named in LOCAL_NAMES or setting.place == Place.LAN and named in setting.hosts:
        return True
    return setting.place in (Place.LAN, Place.SPACE, Place.DEMO) and _is_address(named)


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


class Gate:
    """An ASGI app that lets through to another one only who may come in by a door, and says by which they came.

    Args:
        often: what every open page asks each second, by path: it goes straight there, past Gradio's own layers.
    """

    def __init__(
        self,
        app: Asgi,
        most_body_bytes: int = MOST_BODY_BYTES,
        door: TokenDoor | None = None,
        often: Mapping[str, Asgi] | None = None,
    ):
        self.app = app
        self.often = often or {}
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
        body: bytes | None = b""
        uploads = (scope["method"], scope["path"]) in UPLOADS
        if refusal is None and uploads:
            if not _fits(headers, MOST_UPLOAD_BYTES):
                refusal = Refusal(413, f"A file may hold {MOST_UPLOAD_BYTES:,} bytes at most.")
        elif refusal is None and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await self._body(headers, receive)
            if body is None:
                refusal = Refusal(413, f"A request may hold {self.most_body_bytes:,} bytes at most.")
        if refusal is not None:
            return await self._refuse(send, refusal)
        scope = {**scope, DOOR: self.door}
        # Gradio's launch asks its own server once whether it has begun, and brings no token.
        begins = self._starting and scope["path"] == STARTUP
        self._starting = self._starting and not begins
        if not begins and (answer := entering(self.door, scope, secure_name(headers.get("host", ""), setting))):
            return await answer(scope, receive, _guarded(send, self.headers))
        incoming = _capped(receive) if uploads else _replay(body, receive)
        app = self.often.get(scope["path"], self.app) if scope["method"] == "GET" else self.app
        await app(scope, incoming, _guarded(send, self.headers))

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes | None:
        """The whole body, or None where it is too long, however it is sent, or too slow."""
        if not _fits(headers, self.most_body_bytes):
            return None
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                while more and len(body) <= self.most_body_bytes:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            return None
        return bytes(body) if len(body) <= self.most_body_bytes else None

    async def _refuse(self, send: Send, refusal: Refusal) -> None:
        body = refusal.reason.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        start = {"type": "http.response.start", "status": refusal.status, "headers": [*headers, *self.headers]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _fits(headers: dict[str, str], most_bytes: int) -> bool:
    """Whether a body is not longer than may be, as far as it says."""
    said = headers.get("content-length", "0")
    return said.isascii() and said.isdigit() and int(said) <= most_bytes


def _capped(receive: Receive) -> Receive:
    """A receive for a file: it ends, as if the client had gone, where the file is too long or nothing more comes."""
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        taken += len(message.get("body", b""))
        return message if taken <= MOST_UPLOAD_BYTES else {"type": "http.disconnect"}

    return receive_some


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body that was read, then what comes after it: the word that the client has gone."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


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
        app.middleware_stack = Gate(EarlyScript(app.middleware_stack), door=door)
        yield

    return lifespan
