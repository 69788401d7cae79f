"""The event stream: a run's live numbers as server-sent events, for scripts and pages that do not want to poll.

Events are status, metrics, sample, log and rewind. Each carries an id that says how far the reader has got; a reader
that comes back with it as Last-Event-ID misses nothing and gets nothing twice.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from llm_testing.api.calls import EVENT_STREAM, Asked, shown_to
from llm_testing.api.earlier import generations, point, status
from llm_testing.api.live import answer_of
from llm_testing.errors import UserError

LOOK_EVERY_S = 0.5
"""A trainer may report a thousand times a second; a reader hears of it twice a second."""
BEAT_LOOKS = 30
"""A line without meaning now and then, so that proxies keep a quiet stream open."""
AFAR_LOOKS = 4
"""Looks between two readings of a run that another process trains: only its files tell of it."""
_ID = re.compile(r"([0-9]{8}-[0-9]{6}-[0-9a-z]{4}):(-?\d{1,15}):(-?\d{1,15}):(-?\d{1,15})", re.ASCII)


@dataclass
class Cursor:
    """How far a reader has got in a run's three journals."""

    run_id: str
    metrics: int = -1
    samples: int = -1
    events: int = -1

    def __str__(self) -> str:
        return f"{self.run_id}:{self.metrics}:{self.samples}:{self.events}"


async def follow(asked: Asked) -> Response:
    """The active run's numbers as server-sent events, or those of a named run; goes on when the next run starts."""
    if asked.query.run_id is not None:
        await run_in_threadpool(asked.lab.details, asked.query.run_id)  # refused before the stream has begun
    seen = _cursor(asked.request.headers.get("last-event-id", ""), asked.query.run_id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if asked.request.method == "HEAD":  # an answer without a body must end, or the connection is of no more use
        return Response(media_type=EVENT_STREAM, headers=headers)
    return StreamingResponse(_events(asked, seen), media_type=EVENT_STREAM, headers=headers)


def _cursor(text: str, run_id: str | None) -> Cursor | None:
    found = _ID.fullmatch(text)
    if found and run_id in (None, found[1]):
        return Cursor(found[1], *map(int, found.groups()[1:]))
    return Cursor(run_id) if run_id else None


async def _events(asked: Asked, seen: Cursor | None) -> AsyncIterator[bytes]:
    lab, version, said, looks = asked.lab, None, b"", 0
    yield b"retry: 2000\n\n"
    while True:
        live = lab.live() or lab.last()  # two attributes; nothing is read while nothing has changed
        if live is not None and asked.query.run_id is None and live.kind != asked.kind:
            live = None  # the other track's
        if asked.query.run_id is None and live is not None and (seen is None or seen.run_id != live.run_id):
            if seen is not None:  # a reader hears the end of one run before the next
                yield b"".join((await run_in_threadpool(_news, asked, seen))[:-1])
            seen, version = Cursor(live.run_id), None
        here = live is not None and (seen is None or live.run_id == seen.run_id)
        now = live.version if here else -1 - looks // AFAR_LOOKS
        if now != version:
            version = now
            *news, state = await run_in_threadpool(_news, asked, seen)
            if news or state != said:
                said, looks = state, 0 if here else looks
                yield b"".join([*news, state])
        looks += 1
        if looks % BEAT_LOOKS == 0:
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_EVERY_S)


def _news(asked: Asked, seen: Cursor | None) -> list[bytes]:
    """What a reader has not seen yet, as events, the status last; moves its cursor."""
    lab, run_id = asked.lab, seen and seen.run_id
    try:
        chunks = [] if seen is None else _journals(asked, seen)
        return [*chunks, _event(asked, "status", status(lab, run_id, asked.kind), seen)]
    except UserError:  # it was discarded or deleted meanwhile, or its folder is damaged
        return [_event(asked, "status", status(lab, None, asked.kind), None)]


def _journals(asked: Asked, seen: Cursor) -> list[bytes]:
    lab, run_id, chunks = asked.lab, seen.run_id, []
    points, texts = lab.points(run_id, seen.metrics), lab.samples(run_id, seen.samples)
    happened = lab.events(run_id, seen.events)
    seen.metrics, seen.samples, seen.events = points.next, texts.next, happened.next
    rewound = [news.rewound_to for news in (points, texts) if news.rewound_to is not None]
    if rewound:
        chunks.append(_event(asked, "rewind", {"to_step": min(rewound)}, None))
    if points.rows:
        chunks.append(_event(asked, "metrics", [point(row) for row in points.rows], None))
    if texts.rows:
        rows = lab.points(run_id).rows
        chunks += [_event(asked, "sample", row, None) for row in generations(texts.rows, rows)]
    return chunks + [_event(asked, "log", row, None) for row in happened.rows]


def _event(asked: Asked, name: str, value: Any, seen: Cursor | None) -> bytes:
    # Answers have no line breaks, so one data line holds each. Only the last event of a batch carries the id: a reader
    # that lost the middle of a batch gets the whole of it again.
    data = answer_of(shown_to(asked.request, value, asked.lab)).body
    mark = f"id: {seen}\n".encode() if seen is not None else b""
    return b"event: " + name.encode() + b"\n" + mark + b"data: " + data + b"\n\n"
