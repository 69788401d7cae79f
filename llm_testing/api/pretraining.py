"""The commands of pretraining and the live numbers, as REST calls."""

import time
from typing import Any

from llm_testing.api.bodies import (
    After,
    EventsQuery,
    MoveRequest,
    ResumeRequest,
    SampleRequest,
    StartRequest,
    StopRequest,
    WhichRun,
    names_on_resume,
)
from llm_testing.api.calls import Asked, Call
from llm_testing.api.earlier import Status, generations, point, shown_run, status
from llm_testing.api.stream import follow
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.roles import check, check_corpora, may
from llm_testing.store.ids import check_run_id

AT = "/api/pretraining"
_SAVED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.05


def start(asked: Asked) -> dict[str, Any]:
    """Start a run; while another is active it is refused, or waits in the queue."""
    values = asked.given()
    if not may(asked.request, "start"):
        check(asked.request, "try")
        return started(asked, asked.lab.start_demo(values))
    check_corpora(asked.request, values)
    how = {name: values.pop(name) for name in ("preset", "queue", "request_id", "force") if name in values}
    if values.get("resume_from"):
        values["resume_from"] = _checkpoint_named(asked, values["resume_from"])
    return started(asked, asked.lab.start(values, **how))


def _checkpoint_named(asked: Asked, text: str) -> str:
    """A checkpoint's present id; the id of a run stays, it means its newest."""
    return check_run_id(text) if "/" not in text and text[:8].isdigit() else asked.lab.checkpoint(text).id


def started(asked: Asked, begun: Any) -> dict[str, Any]:
    """The status of a run that was just started or queued."""
    return {**status(asked.lab, begun.run_id), "position": begun.position}


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


def show_status(asked: Asked) -> dict[str, Any]:
    """The active run as it stands, else the newest one since the program started, else idle."""
    return status(asked.lab, asked.query.run_id)


def pause(asked: Asked) -> dict[str, Any]:
    """Pause the active run at its next step; it keeps its memory."""
    asked.lab.pause(asked.body.run_id)
    return status(asked.lab)


def resume(asked: Asked) -> dict[str, Any]:
    """Let the paused run go on; with a run_id resume any run that has ended, and with more steps extend it."""
    changes = asked.given()
    run_id = changes.pop("run_id", None)
    check_corpora(asked.request, changes)
    return started(asked, asked.lab.resume(run_id, changes or None))


def stop(asked: Asked) -> dict[str, Any]:
    """Stop the active run at its next step, or take a run out of the queue."""
    mode, run_id = asked.body.mode, asked.body.run_id
    if mode == "discard":
        check(asked.request, "delete")
    asked.lab.stop(mode, run_id)
    return status(asked.lab, run_id)


def save_now(asked: Asked) -> dict[str, Any]:
    """Write a checkpoint at the next step; answers when it is there, or after a few seconds."""
    live, lab = asked.lab.live(), asked.lab
    run_id = asked.body.run_id or (live and live.run_id)
    seen = lab.events(run_id).next if run_id else -1
    lab.save_now(asked.body.run_id)
    end = time.monotonic() + _SAVED_WITHIN_S
    while time.monotonic() < end:
        saved = [row for row in lab.events(run_id, seen).rows if row.get("event") == "saved"]
        if saved:
            step = saved[-1]["step"]
            return {"success": True, "message": f"Step {step:,} was saved.", "step": step, "run_id": run_id}
        time.sleep(_LOOK_EVERY_S)
    live = lab.live()
    step = live.step if live and live.run_id == run_id else None
    return {"success": True, "message": "It will be saved at the next step.", "step": step, "run_id": run_id}


def sample_now(asked: Asked) -> dict[str, Any]:
    """Have the live model continue a prompt between two steps; the text appears among the run's samples."""
    asked.lab.sample_now(asked.body.prompt, asked.body.run_id)
    return {"success": True, "message": "The text will appear among the samples.", "prompt": asked.body.prompt}


def metrics(asked: Asked) -> dict[str, Any]:
    """New points of a run's curves after a cursor; beyond `rewound_to` what you have is void."""
    run_id = shown_run(asked.lab, asked.query.run_id)
    news = asked.lab.points(run_id, asked.query.after)
    rows = [point(row) for row in news.rows]
    return {"run_id": run_id, "metrics": rows, "next": news.next, "rewound_to": news.rewound_to}


def samples(asked: Asked) -> dict[str, Any]:
    """New sample texts of a run after a cursor."""
    run_id = shown_run(asked.lab, asked.query.run_id)
    news = asked.lab.samples(run_id, asked.query.after)
    rows = generations(news.rows, asked.lab.points(run_id).rows)
    return {"run_id": run_id, "generations": rows, "next": news.next, "rewound_to": news.rewound_to}


def log(asked: Asked) -> dict[str, Any]:
    """New events of a run after a cursor: state changes, saves, warnings, recoveries."""
    run_id = shown_run(asked.lab, asked.query.run_id)
    news = asked.lab.events(run_id, asked.query.after)
    return {"run_id": run_id, "events": news.rows, "next": news.next, "rewound_to": news.rewound_to}


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
    Call("POST", f"{AT}/start", "look", start, named="start", body=StartRequest, answer=Status),
    Call("POST", f"{AT}/preview", "look", preview, named="preview", body=StartRequest),
    Call("GET", f"{AT}/status", "look", show_status, named="status", query=WhichRun, answer=Status),
    Call("POST", f"{AT}/pause", "command", pause, named="pause", body=WhichRun, answer=Status),
    Call(
        "POST",
        f"{AT}/resume",
        "start",
        resume,
        named="resume",
        body=ResumeRequest,
        answer=Status,
        names=names_on_resume,
    ),
    Call("POST", f"{AT}/stop", "command", stop, named="stop", body=StopRequest, answer=Status),
    Call("POST", f"{AT}/checkpoint/save-now", "command", save_now, named="save_now", body=WhichRun),
    Call("POST", f"{AT}/sample-now", "command", sample_now, named="sample_now", body=SampleRequest),
    Call("GET", f"{AT}/metrics", "look", metrics, named="metrics", query=After),
    Call("GET", f"{AT}/samples", "look", samples, named="samples", query=After),
    Call("GET", f"{AT}/log", "look", log, named="log", query=After),
    Call("GET", f"{AT}/events", "look", follow, query=EventsQuery, media_type="text/event-stream"),
    Call("GET", f"{AT}/queue", "look", queue, named="queue"),
    Call("POST", f"{AT}/queue/run", "start", run_queue, named="run_queue"),
    Call("POST", f"{AT}/queue/move", "arrange", move, named="move_queued", body=MoveRequest),
)
