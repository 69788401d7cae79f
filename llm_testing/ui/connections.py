"""Patience with connections, which the server itself has without end: for a request's headers, and for slow readers.

uvicorn hands a request on once its headers are whole, so who sends them drop by drop, or none, or without end,
is seen here and nowhere else.
"""

import asyncio
from collections import OrderedDict
from typing import Any

HEADERS_WITHIN_S = 10.0
"""From the first byte of a connection, or of its next request, to the end of its headers."""
MOST_HEADER_BYTES = 64 * 2**10
MOST_LEFT_OVER_BYTES = 8 * 2**20
"""Of a body that was refused: its client hears why only if it may go on sending for a while."""
READS_WITHIN_S = 60.0
"""How long a client may take nothing of an answer that waits for it."""
KEPT_IDLE_S = 15
"""How long a connection waits for its next request: well above the 5 s after which clients give one up by themselves,
so that none sends into one that is being closed."""
MOST_SILENT = 1024
"""Connections without a request: the oldest makes way for a new one, so nobody is kept out by them."""


def limit_connections(server: Any, headers_within_s: float = HEADERS_WITHIN_S, most_silent: int = MOST_SILENT) -> None:
    """Put the limits on every connection that a uvicorn server accepts from now on.

    Args:
        server: its `config` names the class of its connections, which it looks up anew for each.
    """
    server.config.timeout_keep_alive = KEPT_IDLE_S
    server.config.http_protocol_class = limited(server.config.http_protocol_class, headers_within_s, most_silent)


def limited(protocol: type[Any], headers_within_s: float, most_silent: int) -> type[Any]:
    """A uvicorn protocol that closes connections which take too long, sending or reading."""
    silent: OrderedDict[Any, None] = OrderedDict()

    class Limited(protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._sends: asyncio.TimerHandle | None = None
            self._reads: asyncio.TimerHandle | None = None
            self._idle_bytes = 0
            self._fall_silent()
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._begin()
            self._stop_reading_clock()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._is_idle():
                self._await_headers()
                self._idle_bytes += len(data)
            super().data_received(data)
            if not self._is_idle():
                self._begin()
            elif self._idle_bytes > (MOST_LEFT_OVER_BYTES if self._has_left_over() else MOST_HEADER_BYTES):
                self.transport.abort()

        def on_message_complete(self) -> None:
            left_over = self._has_left_over()
            super().on_message_complete()
            if left_over:  # its end; what comes now are the next request's headers, and the clock goes on
                self.cycle.more_body, self._idle_bytes = False, 0

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._is_idle() and not self.transport.is_closing():
                self._fall_silent()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reads = self.loop.call_later(READS_WITHIN_S, self.transport.abort)

        def resume_writing(self) -> None:
            self._stop_reading_clock()
            super().resume_writing()

        def _is_idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _has_left_over(self) -> bool:
            """Whether the last request was answered before its body had come."""
            return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

        def _fall_silent(self) -> None:
            silent[self] = None
            if len(silent) > most_silent:
                silent.popitem(last=False)[0].transport.abort()

        def _await_headers(self) -> None:
            if self._sends is None:
                self._sends = self.loop.call_later(headers_within_s, self.transport.abort)

        def _begin(self) -> None:
            silent.pop(self, None)
            if self._sends is not None:
                self._sends.cancel()
                self._sends, self._idle_bytes = None, 0

        def _stop_reading_clock(self) -> None:
            if self._reads is not None:
                self._reads.cancel()
                self._reads = None

    return Limited
