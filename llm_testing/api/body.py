"""A request's body: read when its route asks for it and not before, up to a size, within a time.

So rights are judged before a byte is read, by whoever judges them, and a client that sends slowly holds nothing up.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

UPLOADS = (("POST", "/api/pretraining/archive"), ("POST", "/api/uploads"))
"""Whose bodies are files: they pass in pieces to a route that looks who asks before it reads any."""
BODY = "llm_testing.body"
"""Where a request's scope keeps its body."""
BODY_WITHIN_S = 30.0
"""For a whole body, or for the next piece of a file."""


@dataclass(frozen=True)
class Refusal:
    """A status and the sentence that goes with it; after how many seconds the same may be asked again, if ever."""

    status: int
    reason: str
    retry_after_s: int | None = None


async def refuse(send: Send, refusal: Refusal, after_s: float = 0.0) -> None:
    """Answer with a refusal, as the REST calls do.

    Args:
        after_s: let it be waited for, so that whoever asks again at once does not keep the server busy refusing.
    """
    if after_s:
        await asyncio.sleep(after_s)
    body = json.dumps({"detail": refusal.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
               (b"cache-control", b"no-store")]  # fmt: skip
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Body:
    """What stands between a server and an app: the app reads through it, and a refusal goes in place of its answer.

    Args:
        in_pieces: a file, handed on as it comes; else it comes as one message.
    """

    def __init__(self, headers: Headers, receive: Receive, send: Send, most_bytes: int, in_pieces: bool = False):
        self._receive, self._send = receive, send
        self._length = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
        self._most_bytes, self._in_pieces = most_bytes, in_pieces
        self._taken, self._read, self._begun = 0, False, False
        self._refusal: Refusal | None = None

    async def serve(self, app: Asgi, scope: Scope) -> None:
        """Let an app answer; it finds this in its scope, to narrow what may come."""
        try:
            await app({**scope, BODY: self}, self._next, self._answer)
        except ClientDisconnect:
            pass  # the client has gone, or was made to seem so by a refusal: there is nothing to tell the log
        if self._refusal is not None and not self._begun:
            await refuse(self._send, self._refusal)

    def narrow(self, most_bytes: int) -> None:
        """Take no more than so many bytes, unless it is a file."""
        if not self._in_pieces:
            self._most_bytes = min(most_bytes, self._most_bytes)

    def refusal(self) -> Refusal | None:
        """Why not a byte need be read: it says itself that it is too long, or says nothing that can be understood."""
        length = self._length
        known = length.isdigit() and len(length) < 19
        return None if known and int(length) <= self._most_bytes else self._too_large()

    async def _next(self) -> Message:
        if self._read:
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                message = await (self._piece() if self._in_pieces else self._whole())
        except TimeoutError:
            self._refusal = Refusal(408, f"The body of this request did not come within {BODY_WITHIN_S:.0f} s.")
        if self._refusal is not None:
            self._read = True
            return {"type": "http.disconnect"}
        return message

    def _too_large(self) -> Refusal:
        what = "file" if self._in_pieces else "request"
        return Refusal(413, f"A {what} may hold {self._most_bytes:,} bytes at most.")

    async def _piece(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        self._read = not message.get("more_body", False)
        if self._taken > self._most_bytes:
            self._refusal = self._too_large()
        return message

    async def _whole(self) -> Message:
        body = bytearray()
        while not self._read:
            message = await self._receive()
            if message["type"] != "http.request":
                self._read = True
                return message
            body += message.get("body", b"")
            self._read = not message.get("more_body", False)
            if len(body) > self._most_bytes:
                self._refusal = self._too_large()
                break
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def _answer(self, message: Message) -> None:
        if self._refusal is not None and not self._begun:
            return  # what the app makes of a body that broke off is not what its client should hear
        self._begun = True
        await self._send(message)
