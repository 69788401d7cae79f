"""Adapters as REST calls: listed, deleted, asked, and talked to beside their base."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import StreamingResponse

from llm_testing.api.calls import Asked, Call
from llm_testing.api.playground import LINES, sent
from llm_testing.api.tuning_bodies import AdaptersQuery, AnswerRequest, ChatRequest, DeleteAdaptersQuery
from llm_testing.errors import UserError
from llm_testing.model.generate import Sampling
from llm_testing.service.adapters import is_adapter_path
from llm_testing.service.chats import SIDES, Opened, Piece
from llm_testing.service.checkpoints import CheckpointRow
from llm_testing.service.playground import COPY_WITHIN_S
from llm_testing.service.roles import check

AT = "/api/fine-tuning"
KIND = "finetune"
_SAMPLING = ("max_tokens", "temperature", "top_k", "top_p", "seed")


@dataclass(frozen=True)
class AdapterRow:
    """One checkpoint of a fine-tuning run."""

    id: str
    path: str
    step: int
    train_loss: float | None
    eval_loss: float | None
    timestamp: str | None
    run_id: str
    run_name: str
    epoch: int
    model_name: str | None
    dataset: str | None
    adapter: str | None
    tokens_seen: int | None
    bytes: int
    kinds: tuple[str, ...]
    needed: str | None
    damaged: str | None


@dataclass(frozen=True)
class Answered:
    """A question and its answer; `text` is the answer alone."""

    text: str
    tokens_generated: int
    prompt: str
    adapter_path: str | None
    checkpoint_id: str


def list_adapters(asked: Asked) -> list[AdapterRow]:
    """What fine-tuning runs have saved, newest first."""
    return [_row(row) for row in asked.lab.finetuning.adapters.rows(asked.query.run_id)]


def delete_adapters(asked: Asked) -> dict[str, Any]:
    """Delete what fine-tuning runs have saved; that of active runs and parents of forks always stays."""
    gone = asked.lab.finetuning.adapters.delete(asked.query.keep_latest)
    return {"deleted_count": len(gone.ids), "deleted_files": list(gone.ids), "deleted_bytes": gone.bytes}


def show_adapter(asked: Asked) -> AdapterRow:
    """One of them, by any form of its name."""
    return _row(asked.lab.finetuning.adapters.row(_by_name(asked, asked.path["checkpoint_id"])))


def delete_adapter(asked: Asked) -> dict[str, Any]:
    """Delete one of them, unless its run is active or another run was forked from it."""
    gone = asked.lab.finetuning.adapters.delete_one(_by_name(asked, asked.path["checkpoint_id"]))
    return {"deleted_count": len(gone.ids), "deleted_files": list(gone.ids), "deleted_bytes": gone.bytes}


def generate(asked: Asked) -> Answered:
    """Have an adapter answer a question; without one the base model of the newest run answers."""
    body, chats = asked.body, asked.lab.finetuning.chats
    opened = _opened(asked)
    side = "adapter" if body.adapter_path else "base"
    prompt = chats.prompt(opened, [{"role": "user", "content": body.prompt}])
    pieces = list(chats.answer(opened, {side: prompt}, _sampling(body), COPY_WITHIN_S))
    text = "".join(piece.text for piece in pieces)
    return Answered(text, pieces[-1].num_tokens, body.prompt, body.adapter_path, opened.name)


def chat(asked: Asked) -> StreamingResponse:
    """Answer a conversation with a tuned model and its base side by side, one JSON line for each piece."""
    body, chats = asked.body, asked.lab.finetuning.chats
    opened = _opened(asked)  # refused before the answer has begun
    told = {side: [turn.model_dump() for turn in body.messages] for side in SIDES if body.sides in ("both", side)}
    if "base" in told and body.base_messages:
        told["base"] = [turn.model_dump() for turn in body.base_messages]
    prompts = {side: chats.prompt(opened, turns) for side, turns in told.items()}
    lines = _lines(opened, chats.answer(opened, prompts, _sampling(body)), list(prompts))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(sent(lines), media_type=LINES, headers=headers)


def _opened(asked: Asked) -> Opened:
    return asked.lab.finetuning.chats.open(_by_name(asked, asked.body.adapter_path))


def _by_name(asked: Asked, name: str | None) -> str | None:
    """The name, after refusing a path to those who may not name one."""
    if name and is_adapter_path(name):
        check(asked.request, "paths")
    return name


def _sampling(body: Any) -> Sampling:
    return Sampling(**{name: getattr(body, name) for name in _SAMPLING})


def _row(row: CheckpointRow) -> AdapterRow:
    values = {**asdict(row), "eval_loss": row.val_loss}
    return AdapterRow(**{name: values[name] for name in AdapterRow.__dataclass_fields__})


def _lines(opened: Opened, pieces: Iterator[Piece], sides: list[str]) -> Iterator[dict[str, Any]]:
    yield {"checkpoint_id": opened.name, "run_id": opened.run_id, "step": opened.step, "sides": sides}
    try:
        for piece in pieces:
            line = {"side": piece.side, "tokens_generated": piece.num_tokens}
            if piece.done:
                yield {**line, "done": True, "seconds": piece.seconds, "cut": piece.cut}
            else:
                yield {**line, "text": piece.text}
    except UserError as error:
        yield {"error": str(error)}
        return
    yield {"done": True}


_ONE = f"{AT}/checkpoints/{{checkpoint_id:path}}"
ADAPTERS = (
    Call(
        "GET",
        f"{AT}/checkpoints",
        "look",
        list_adapters,
        named="finetune_checkpoints",
        query=AdaptersQuery,
        answer=list[AdapterRow],
        kind=KIND,
    ),
    Call(
        "DELETE",
        f"{AT}/checkpoints",
        "delete",
        delete_adapters,
        named="finetune_delete_checkpoints",
        query=DeleteAdaptersQuery,
        kind=KIND,
    ),
    Call("GET", _ONE, "look", show_adapter, named="finetune_checkpoint", answer=AdapterRow, kind=KIND),
    Call("DELETE", _ONE, "delete", delete_adapter, named="finetune_delete_checkpoint", kind=KIND),
    Call(
        "POST",
        f"{AT}/generate",
        "compute",
        generate,
        named="finetune_generate",
        body=AnswerRequest,
        answer=Answered,
        alone=True,
        kind=KIND,
    ),
    Call("POST", f"{AT}/chat", "compute", chat, body=ChatRequest, media_type=LINES, kind=KIND),
)
