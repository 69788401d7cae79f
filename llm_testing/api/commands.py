"""The commands and looks that every kind of run has, as REST calls; each track's table puts them at its address.

A run that is named is that run, whichever its kind. Where none is named the track's own is meant, so that a client of
one track never pauses a run of the other.
"""

import time
from typing import Any

from llm_testing.api.bodies import After, EventsQuery, SampleRequest, StopRequest, WhichRun
from llm_testing.api.calls import EVENT_STREAM, Asked, Call
from llm_testing.api.earlier import STATUS_OF, generations, point, shown_run, status
from llm_testing.api.stream import follow
from llm_testing.config.option import Options, options_of
from llm_testing.errors import ConfigError, Problem, WrongState
from llm_testing.service.roles import check

_SAVED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.05
_WORDS = {"pretrain": "a pretraining run", "finetune": "a fine-tuning run"}


def started(asked: Asked, begun: Any) -> dict[str, Any]:
    """The status of a run that was just started or queued."""
    return {**status(asked.lab, begun.run_id, asked.kind), "position": begun.position}


def meant(asked: Asked, run_id: str | None) -> str | None:
    """The run that a command is about: the named one, or None for the active one, which must be of this track.

    Raises:
        WrongState: naming the active run of the other track.
    """
    live = asked.lab.live()
    if run_id is None and live is not None and live.kind != asked.kind:
        raise WrongState(
            f"Run {live.run_id} is {live.state}, and it is {_WORDS.get(live.kind, live.kind)}. Name it with run_id to "
            "command it from here.", live.run_id, live.state,
        )  # fmt: skip
    return run_id


def show_status(asked: Asked) -> dict[str, Any]:
    """The active run as it stands, else the newest one since the program started, else idle."""
    return status(asked.lab, asked.query.run_id, asked.kind)


def pause(asked: Asked) -> dict[str, Any]:
    """Pause the active run at its next step; it keeps its memory."""
    asked.lab.pause(meant(asked, asked.body.run_id))
    return status(asked.lab, asked.body.run_id, asked.kind)


def stop(asked: Asked) -> dict[str, Any]:
    """Stop the active run at its next step, or take a run out of the queue."""
    mode, run_id = asked.body.mode, meant(asked, asked.body.run_id)
    if mode == "discard":
        check(asked.request, "delete")
    asked.lab.stop(mode, run_id)
    return status(asked.lab, run_id, asked.kind)


def save_now(asked: Asked) -> dict[str, Any]:
    """Write a checkpoint at the next step; answers when it is there, or after a few seconds."""
    live, lab = asked.lab.live(), asked.lab
    run_id = meant(asked, asked.body.run_id) or (live and live.run_id)
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
    """Have the live model answer a prompt between two steps; the text appears among the run's samples."""
    asked.lab.sample_now(asked.body.prompt, meant(asked, asked.body.run_id))
    return {"success": True, "message": "The text will appear among the samples.", "prompt": asked.body.prompt}


def metrics(asked: Asked) -> dict[str, Any]:
    """New points of a run's curves after a cursor; beyond `rewound_to` what you have is void."""
    run_id = shown_run(asked.lab, asked.query.run_id, asked.kind)
    news = asked.lab.points(run_id, asked.query.after)
    rows = [point(row) for row in news.rows]
    return {"run_id": run_id, "metrics": rows, "next": news.next, "rewound_to": news.rewound_to}


def samples(asked: Asked) -> dict[str, Any]:
    """New sample texts of a run after a cursor."""
    run_id = shown_run(asked.lab, asked.query.run_id, asked.kind)
    news = asked.lab.samples(run_id, asked.query.after)
    rows = generations(news.rows, asked.lab.points(run_id).rows)
    return {"run_id": run_id, "generations": rows, "next": news.next, "rewound_to": news.rewound_to}


def log(asked: Asked) -> dict[str, Any]:
    """New events of a run after a cursor: state changes, saves, warnings, recoveries."""
    run_id = shown_run(asked.lab, asked.query.run_id, asked.kind)
    news = asked.lab.events(run_id, asked.query.after)
    return {"run_id": run_id, "events": news.rows, "next": news.next, "rewound_to": news.rewound_to}


def resume_foreseen(asked: Asked) -> dict[str, Any]:
    """What a body of resume would do to the run that it names, in sentences, or why it would be refused."""
    changes = asked.given()
    run_id = changes.pop("run_id", None)
    if run_id is None:
        raise ConfigError([Problem("run_id", "Name the run that should go on.")])
    try:
        return {"run_id": run_id, "sentences": asked.lab.preview_resume(run_id, changes), "refused": None}
    except (ConfigError, WrongState) as error:
        return {"run_id": run_id, "sentences": (), "refused": str(error)}


def names_on_resume(request: type[Options]) -> list[str]:
    """What a resume takes of the options of a kind of run."""
    options = options_of(request)
    return ["run_id", *(name for name, option in options.items() if option.show.resume == "change")]


def commands_at(at: str, kind: str, prefix: str = "") -> tuple[Call, ...]:
    """The calls that are alike for every kind of run.

    Args:
        at: the track's address.
        prefix: of the names that Gradio's clients call.
    """
    answer = STATUS_OF[kind]

    def call(method: str, name: str, needs: str, run: Any, named: str, **more: Any) -> Call:
        return Call(method, f"{at}/{name}", needs, run, named=named and prefix + named, kind=kind, **more)

    return (
        call("GET", "status", "look", show_status, "status", query=WhichRun, answer=answer),
        call("POST", "pause", "command", pause, "pause", body=WhichRun, answer=answer),
        call("POST", "stop", "command", stop, "stop", body=StopRequest, answer=answer),
        call("POST", "checkpoint/save-now", "command", save_now, "save_now", body=WhichRun),
        call("POST", "sample-now", "command", sample_now, "sample_now", body=SampleRequest),
        call("GET", "metrics", "look", metrics, "metrics", query=After),
        call("GET", "samples", "look", samples, "samples", query=After),
        call("GET", "log", "look", log, "log", query=After),
        call("GET", "events", "look", follow, "", query=EventsQuery, media_type=EVENT_STREAM),
    )
