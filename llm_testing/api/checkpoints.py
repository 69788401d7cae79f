"""Checkpoints as REST calls: listed, deleted, written with and looked into."""

from dataclasses import dataclass

from llm_testing.api.bodies import AttentionRequest, CheckpointsQuery, DeleteQuery, GenerateRequest
from llm_testing.api.calls import Asked, Call
from llm_testing.model.generate import Sampling
from llm_testing.service.attention import AttentionMap, Completion
from llm_testing.service.checkpoints import CheckpointRow, Deleted

AT = "/api/pretraining"
_SAMPLING = ("max_tokens", "temperature", "top_k", "top_p", "seed")


@dataclass(frozen=True)
class DeletedFiles:
    """What a deletion removed."""

    deleted_count: int
    deleted_files: list[str]
    deleted_bytes: int


def list_checkpoints(asked: Asked) -> list[CheckpointRow]:
    """The checkpoints of all runs of one model size, newest first; `config_name=all` for every size."""
    query = asked.query
    size = query.config_name or ("all" if query.run_id or query.corpus else "nano")
    rows = asked.lab.checkpoints(None if size == "all" else size, query.run_id, query.corpus)
    return [row for row in rows if query.run_id or row.kind == asked.kind]


def show_checkpoint(asked: Asked) -> CheckpointRow:
    """One checkpoint, by its id or an id of an earlier form; of those the newest that fits."""
    return asked.lab.checkpoint(asked.path["checkpoint_id"])


def delete_checkpoint(asked: Asked) -> DeletedFiles:
    """Delete one checkpoint, unless its run is active or another run was forked from it."""
    return _deleted(asked.lab.delete_checkpoint(asked.path["checkpoint_id"]))


def delete_checkpoints(asked: Asked) -> DeletedFiles:
    """Delete the checkpoints of a model size; those of active runs and parents of forks always stay."""
    size = asked.query.config_name
    return _deleted(asked.lab.delete_checkpoints(None if size == "all" else size, asked.query.keep_latest, asked.kind))


def delete_all(asked: Asked) -> DeletedFiles:
    """Delete the checkpoints of every size; those of active runs and parents of forks stay."""
    return _deleted(asked.lab.delete_checkpoints(None, keep_latest=False, kind=asked.kind))


def generate(asked: Asked) -> Completion:
    """Continue a prompt with a checkpoint; `text` begins with the prompt."""
    body = asked.body
    sampling = Sampling(**{name: getattr(body, name) for name in _SAMPLING})
    return asked.lab.playground.complete(body.checkpoint_id, body.prompt, sampling)


def attention(asked: Asked) -> AttentionMap:
    """How much each token of a text looks at itself and the earlier ones, in one layer of a checkpoint."""
    body = asked.body
    return asked.lab.playground.attention(body.checkpoint_id, body.text, body.layer, body.head)


def _deleted(gone: Deleted) -> DeletedFiles:
    return DeletedFiles(len(gone.ids), list(gone.ids), gone.bytes)


_ONE = f"{AT}/checkpoints/{{checkpoint_id:path}}"
CHECKPOINTS = (
    Call(
        "GET",
        f"{AT}/checkpoints",
        "look",
        list_checkpoints,
        named="checkpoints",
        query=CheckpointsQuery,
        answer=list[CheckpointRow],
    ),
    Call(
        "DELETE",
        f"{AT}/checkpoints",
        "delete",
        delete_checkpoints,
        named="delete_checkpoints",
        query=DeleteQuery,
        answer=DeletedFiles,
    ),
    Call("DELETE", f"{AT}/checkpoints/all", "delete", delete_all, named="delete_all_checkpoints", answer=DeletedFiles),
    Call("GET", _ONE, "look", show_checkpoint, named="checkpoint", answer=CheckpointRow),
    Call("DELETE", _ONE, "delete", delete_checkpoint, named="delete_checkpoint", answer=DeletedFiles),
    Call(
        "POST",
        f"{AT}/generate",
        "compute",
        generate,
        named="generate",
        body=GenerateRequest,
        answer=Completion,
        alone=True,
    ),
    Call(
        "POST",
        f"{AT}/analyze/attention",
        "compute",
        attention,
        named="attention",
        body=AttentionRequest,
        answer=AttentionMap,
        alone=True,
    ),
)
