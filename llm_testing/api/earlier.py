"""Answers in the keys and words of the earlier API, with ours beside them: keys may be added, never taken away."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from llm_testing.errors import NotFound
from llm_testing.jobs.states import earlier_word
from llm_testing.service.lab import Lab
from llm_testing.service.views import Live


@dataclass(frozen=True)
class Status:
    """A run as it stands: `state` is one of idle, loading, running, paused, completed, error; `phase` is ours."""

    state: str = "idle"
    phase: str | None = None
    run_id: str | None = None
    current_step: int = 0
    current_epoch: int = 0
    total_steps: int = 0
    train_loss: float | None = None
    val_loss: float | None = None
    tokens_seen: int = 0
    elapsed_time: float = 0.0
    config: dict[str, Any] | None = None
    position: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class TuningStatus(Status):
    """A fine-tuning run as it stands; `eval_loss` is the loss on held-out rows."""

    eval_loss: float | None = None
    learning_rate: float | None = None
    trainable_params: int | None = None
    total_params: int | None = None


STATUS_OF = {"pretrain": Status, "finetune": TuningStatus}
"""What a status of each kind of run has at least."""


@dataclass(frozen=True)
class Point:
    """A point of the curves."""

    step: int
    epoch: int
    train_loss: float | None
    val_loss: float | None
    learning_rate: float | None
    tokens_seen: int
    tokens_per_sec: float | None
    elapsed_time: float


@dataclass(frozen=True)
class RunRow:
    """One line of the list of runs."""

    run_id: str
    state: str
    phase: str | None
    created_at: str | None
    updated_at: str | None
    completed_at: str | None
    current_step: int | None
    total_steps: int | None
    tokens_seen: int | None
    final_train_loss: float | None
    final_val_loss: float | None
    config: dict[str, Any] | None


@dataclass(frozen=True)
class RunDetails(RunRow):
    """One run with its curves and sample texts."""

    metrics: list[Point]
    generations: list[dict[str, Any]]


def status(lab: Lab, run_id: str | None = None, kind: str = "pretrain") -> dict[str, Any]:
    """A run's status; without an id that of the active run of a kind, else of the newest of this process."""
    live = lab.live() or lab.last()
    if live is not None and (run_id == live.run_id or run_id is None and live.kind == kind):
        return status_of_live(live)
    return asdict(STATUS_OF[kind]()) if run_id is None else _status_of_record(lab, run_id)


def status_of_live(live: Live) -> dict[str, Any]:
    """The status of a run of this process."""
    values = asdict(live)
    doing = {name: values.pop(name) for name in ("phase", "done", "total", "unit")}
    error = values.pop("error")
    return {
        **values,
        "state": earlier_word(live.state),
        "phase": live.state,
        "current_step": live.step,
        "current_epoch": epoch_number(live.epoch),
        "total_steps": live.total_steps or 0,
        "elapsed_time": live.elapsed_s,
        "position": None,
        "doing": doing,
        "error": error and f"{error['title']}: {error['message']}",
        "traceback": error and error["traceback"] or None,
        **_of_kind(live.kind, values["val_loss"], live.lr, live.num_trainable, live.num_parameters),
    }


def _status_of_record(lab: Lab, run_id: str) -> dict[str, Any]:
    details, reached, waiting = lab.details(run_id), lab.result(run_id), lab.queued()
    rows = lab.points(run_id).rows
    return {
        **asdict(STATUS_OF.get(details["kind"], Status)()),
        **reached,
        "state": earlier_word(details["state"]),
        "phase": details["state"],
        "run_id": run_id,
        "name": details["name"],
        "current_step": reached["step"] or 0,
        "current_epoch": epoch_number(_newest(rows, "epoch")),
        "total_steps": details["summary"].get("total_steps") or 0,
        "tokens_seen": reached["tokens_seen"] or 0,
        "elapsed_time": reached["elapsed_s"] or 0.0,
        "config": details["config"],
        "position": waiting.index(run_id) + 1 if run_id in waiting else None,
        "error": details["error"],
        **_of_kind(
            details["kind"],
            reached["val_loss"],
            _newest(rows, "lr"),
            reached["num_trainable"],
            reached["num_parameters"],
        ),
    }


def _of_kind(kind: str, loss: float | None, lr: float | None, trained: int | None, total: int | None) -> dict[str, Any]:
    """The keys that only one kind of run has in a status."""
    if STATUS_OF.get(kind) is not TuningStatus:
        return {}
    return {"eval_loss": loss, "learning_rate": lr, "trainable_params": trained, "total_params": total}


def _newest(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    """The last value of a column that is known."""
    return next((row[name] for row in reversed(rows) if row.get(name) is not None), None)


def epoch_number(epoch: float | None) -> int:
    """Which pass over the text it is, counted from 1 as the earlier API did; 0 before the first step."""
    return ceil(epoch or 0.0)


def point(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the curves."""
    return {
        **row,
        "epoch": epoch_number(row.get("epoch")),
        "epochs_done": row.get("epoch"),
        "train_loss": row.get("train_loss"),
        "val_loss": row.get("val_loss"),
        "eval_loss": row.get("val_loss"),
        "learning_rate": row.get("lr"),
        "tokens_per_sec": row.get("tokens_per_s"),
        "elapsed_time": row.get("elapsed_s"),
    }


def generations(samples: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sample texts, each with the epoch that its step was in."""
    steps = [row["step"] for row in rows]
    found = []
    for sample in samples:
        before = bisect_right(steps, sample["step"])
        epoch = epoch_number(rows[before - 1].get("epoch")) if before else 0
        found.append({**sample, "epoch": epoch, "timestamp": sample.get("at")})
    return found


def run_row(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the list; a damaged run says why."""
    state = row.get("state")
    return {
        **row,
        "state": earlier_word(state) if state else "error",
        "phase": state,
        "current_step": row.get("step"),
        "total_steps": row.get("total_steps"),
        "final_train_loss": row.get("train_loss"),
        "final_val_loss": row.get("val_loss"),
        **{name: row.get(name) for name in ("created_at", "updated_at", "completed_at", "tokens_seen", "config")},
    }


def run_details(lab: Lab, run_id: str) -> dict[str, Any]:
    """Everything about one run, curves and texts too."""
    details, rows = lab.details(run_id), lab.points(run_id).rows
    reached = {**details["summary"], **lab.result(run_id), "total_steps": details["summary"].get("total_steps")}
    return {
        **run_row({**details, **reached, "run_id": run_id}),
        "metrics": [point(row) for row in rows],
        "generations": generations(lab.samples(run_id).rows, rows),
    }


def shown_run(lab: Lab, run_id: str | None, kind: str = "pretrain") -> str:
    """The run that is meant: the named one, else the active one of a kind, else the newest whole one.

    Raises:
        NotFound: where there is none.
    """
    if run_id is not None:
        return run_id
    live = lab.live() or lab.last()
    if live is not None and live.kind == kind:
        return live.run_id
    newest = next((row for row in lab.rows() if row.usable and row.kind == kind), None)
    if newest is None:
        raise NotFound("There is no run yet.")
    return newest.run_id
