"""The playground as calls: text as it is written, and every head of a layer at once. `live` names the live model."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Annotated, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from llm_testing.api.bodies import AttentionRequest, GenerateRequest, ResumeRequest
from llm_testing.api.calls import Asked, Call
from llm_testing.api.commands import names_on_resume, resume_foreseen
from llm_testing.config.option import Options
from llm_testing.errors import UserError
from llm_testing.model.generate import Sampling
from llm_testing.service.attention import HeadsMap
from llm_testing.service.playground import Opened, Playground

AT = "/api/pretraining"
LINES = "application/x-ndjson"
_SAMPLING = ("max_tokens", "temperature", "top_k", "top_p", "seed")


class HeadsRequest(Options):
    """What to look at; every head of the layer is answered."""

    checkpoint_id: Annotated[str | None, *AttentionRequest.model_fields["checkpoint_id"].metadata] = None
    """A checkpoint, a run for its newest one, or live; absent means the newest of all."""
    text: Annotated[str, *AttentionRequest.model_fields["text"].metadata] = ""
    """The text whose tokens look at each other."""
    layer: Annotated[int, *AttentionRequest.model_fields["layer"].metadata] = 0
    """Which block, from 0."""


def stream(asked: Asked) -> StreamingResponse:
    """Continue a prompt, one JSON line for each piece as it is written; `checkpoint_id` may be `live`."""
    body, playground = asked.body, asked.lab.playground
    sampling = Sampling(**{name: getattr(body, name) for name in _SAMPLING})
    opened = playground.open(body.checkpoint_id)  # refused before the answer has begun
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(sent(_lines(playground, opened, body.prompt, sampling)), media_type=LINES, headers=headers)


def heads(asked: Asked) -> HeadsMap:
    """How much each token of a short text looks at itself and the earlier ones, in every head of a layer."""
    body = asked.body
    return asked.lab.playground.heads(body.checkpoint_id, body.text, body.layer)


def preview_resume(asked: Asked) -> dict[str, Any]:
    """What resuming a run with these changes would do, in sentences, or why it would be refused; starts nothing."""
    return resume_foreseen(asked)


def _lines(playground: Playground, opened: Opened, prompt: str, sampling: Sampling) -> Iterator[dict[str, Any]]:
    num_tokens, began = 0, time.monotonic()

    def count() -> None:
        nonlocal num_tokens
        num_tokens += 1

    yield {"checkpoint_id": opened.name, "run_id": opened.run_id, "step": opened.step}
    try:
        for piece in playground.write(opened, prompt, sampling, count):
            yield {"text": piece, "tokens_generated": num_tokens}
    except UserError as error:
        yield {"error": str(error)}
        return
    yield {"done": True, "tokens_generated": num_tokens, "seconds": round(time.monotonic() - began, 3)}


async def sent(lines: Iterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Each line as it comes; when the reader goes away, writing ends."""
    with closing(lines):
        while (line := await run_in_threadpool(next, lines, None)) is not None:
            yield json.dumps(line, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _changes() -> list[str]:
    return names_on_resume(ResumeRequest)


PLAYGROUND = (
    Call("POST", f"{AT}/generate/stream", "compute", stream, body=GenerateRequest, media_type=LINES),
    Call("POST", f"{AT}/resume/preview", "look", preview_resume, body=ResumeRequest, names=_changes),
    Call("POST", f"{AT}/analyze/heads", "compute", heads, body=HeadsRequest, answer=HeadsMap, alone=True),
)
