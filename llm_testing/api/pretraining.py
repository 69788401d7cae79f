"""Starting and resuming pretraining runs, what a draft would do, and the queue, as REST calls."""

from typing import Any

from llm_testing.api.bodies import MoveRequest, ResumeRequest, StartRequest
from llm_testing.api.calls import Asked, Call
from llm_testing.api.commands import commands_at, meant, names_on_resume, started
from llm_testing.api.earlier import Status
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.roles import check, check_corpora, may
from llm_testing.store.ids import check_run_id

AT = "/api/pretraining"


def start(asked: Asked) -> dict[str, Any]:
    """Start a run; while another is active it is refused, or waits in the queue."""
    values = asked.given()
    if not may(asked.request, "start"):
        return started(asked, asked.lab.start_demo(values))
    check_corpora(asked.request, values)
    how = {name: values.pop(name) for name in ("preset", "queue", "request_id", "force") if name in values}
    if values.get("resume_from"):
        values["resume_from"] = _checkpoint_named(asked, values["resume_from"])
    return started(asked, asked.lab.start(values, **how))


def may_start(request: Any) -> None:
    """Refuse who may neither start runs nor try the demo's one.

    Raises:
        NotAllowed: naming the action.
    """
    if not may(request, "start"):
        check(request, "try")


def _checkpoint_named(asked: Asked, text: str) -> str:
    """A checkpoint's present id; the id of a run stays, it means its newest."""
    return check_run_id(text) if "/" not in text and text[:8].isdigit() else asked.lab.checkpoint(text).id


def preview(asked: Asked) -> dict[str, Any]:
    """What a body of start would do, without starting anything; problems are part of the answer."""
    values = asked.given()
    preset = values.pop("preset", None)
    for name in ("queue", "request_id", "force"):
        values.pop(name, None)
    check_corpora(asked.request, values)
    seen = asked.lab.preview(values, preset)
    return {
        "problems": seen.problems,
        "config": seen.config and seen.config.model_dump(mode="json"),
        "resolved": seen.resolved,
        "sentences": seen.sentences,
    }


def resume(asked: Asked) -> dict[str, Any]:
    """Let the paused run go on; with a run_id resume any run that has ended, and with more steps extend it."""
    changes = asked.given()
    run_id = meant(asked, changes.pop("run_id", None))
    check_corpora(asked.request, changes)
    return started(asked, asked.lab.resume(run_id, changes or None))


def queue(asked: Asked) -> dict[str, Any]:
    """The runs that wait for the trainer, the next one first."""
    names = {row.run_id: row.name for row in asked.lab.rows()}
    waiting = enumerate(asked.lab.queued(), start=1)
    return {"queued": [{"run_id": i, "name": names.get(i), "position": place} for place, i in waiting]}


def run_queue(asked: Asked) -> dict[str, Any]:
    """Go on with the queue, which waits for its owner after a restart."""
    return {"started": asked.lab.run_queue(), **queue(asked)}


def move(asked: Asked) -> dict[str, Any]:
    """Put a waiting run at another place in the queue."""
    if asked.body.run_id is None:
        raise ConfigError([Problem("run_id", "Name the waiting run that should move.")])
    asked.lab.move_queued(asked.body.run_id, asked.body.position)
    return queue(asked)


COMMANDS = (
    Call("POST", f"{AT}/start", "look", start, named="start", body=StartRequest, answer=Status, before=may_start),
    Call("POST", f"{AT}/preview", "look", preview, named="preview", body=StartRequest),
    Call(
        "POST",
        f"{AT}/resume",
        "start",
        resume,
        named="resume",
        body=ResumeRequest,
        answer=Status,
        names=lambda: names_on_resume(ResumeRequest),
    ),
    *commands_at(AT, "pretrain"),
    Call("GET", f"{AT}/queue", "look", queue, named="queue"),
    Call("POST", f"{AT}/queue/run", "start", run_queue, named="run_queue"),
    Call("POST", f"{AT}/queue/move", "arrange", move, named="move_queued", body=MoveRequest),
)
