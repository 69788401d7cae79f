"""Who gets in: every request's Host, Origin, forwarding and size are checked before anything of it is parsed.

The page answers this machine's own browser and scripts. A name that was rebound to 127.0.0.1, another site's form or
script, a proxy or tunnel, and a body that would fill the memory are refused here, in front of Gradio and all routes.
Gradio alone would run a cross-site POST and only withhold the answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
MOST_BODY_BYTES = 2 * 2**20
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


def judge(method: str, path: str, headers: dict[str, str], port: int) -> Refusal | None:
    """Whether a request may come in; None if it may.

    Args:
        headers: by lower-case name.
        port: that we listen on; a Host with another one is a tunnel's or a rebound name's.
    """
    host = headers.get("host", "")
    try:
        named, named_port = urlsplit(f"//{host}").hostname, urlsplit(f"//{host}").port or 80
    except ValueError:
        named, named_port = None, None
    if named not in LOCAL_HOSTS or named_port != port:
        return Refusal(421, f"This page answers as 127.0.0.1:{port} only.")
    if any(name in FORWARDING or name.startswith("x-forwarded-") for name in headers):
        return Refusal(403, "Requests through a proxy or tunnel are refused.")
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return Refusal(403, "Requests from another site are refused.")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        # A link on another site may open the page itself; nothing else, and nothing that acts.
        opens_page = method == "GET" and path == "/" and headers.get("sec-fetch-dest") == "document"
        if not opens_page:
            return Refusal(403, "Requests from another site are refused.")
    return None


class Gate:
    """An ASGI app that lets only the owner's own requests through to another one."""

    def __init__(self, app: Asgi, most_body_bytes: int = MOST_BODY_BYTES):
        self.app = app
        self.most_body_bytes = most_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # a web socket; the page uses none
            return await send({"type": "websocket.close", "code": 1008})
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        repeated = [name for name, _ in scope["headers"] if name.lower() in (b"host", b"origin", b"content-length")]
        refusal = judge(scope["method"], scope["path"], headers, scope["server"][1])
        if refusal is None and len(repeated) != len(set(repeated)):
            refusal = Refusal(400, "A header that decides was sent twice.")
        body: bytes | None = b""
        if refusal is None and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await self._body(headers, receive)
            if body is None:
                refusal = Refusal(413, f"A request may hold {self.most_body_bytes:,} bytes at most.")
        if refusal is not None:
            return await _refuse(send, refusal)
        await self.app(scope, _replay(body, receive), _guarded(send))

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes | None:
        """The whole body, or None where it is too long, however it is sent, or too slow."""
        said = headers.get("content-length", "0")
        if not said.isdigit() or int(said) > self.most_body_bytes:
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


def _guarded(send: Send) -> Send:
    """A send that takes away what Gradio tells other origins, and adds our own headers."""
    ours = {name for name, _ in SECURITY_HEADERS}

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-") and name.lower() not in ours
            ]
            message = {**message, "headers": [*kept, *SECURITY_HEADERS]}
        await send(message)

    return send_guarded


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = refusal.reason.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": refusal.status, "headers": [*headers, *SECURITY_HEADERS]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def gated(app: Any) -> AsyncIterator[None]:
    """A lifespan that puts the gate in front of a whole app, outside of every middleware that Gradio adds.

    Middleware given to the app would stand behind Gradio's own, whose CORS answers it could not take back.
    """
    app.middleware_stack = Gate(app.middleware_stack)
    yield
