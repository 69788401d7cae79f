"""The list of runs, kept in memory and made anew only for folders that have changed: a thousand cost milliseconds."""

import os
import threading
from dataclasses import replace
from typing import Any

from llm_testing.errors import DamagedRun, NotFound
from llm_testing.jobs.states import ACTIVE, RunState
from llm_testing.service.records import SUMMED_UP, looked_at, reached, state_of
from llm_testing.service.views import RunSummary
from llm_testing.store.rows import RunRow
from llm_testing.store.runs import RunStore

Known = tuple[RunRow, tuple[int, ...], RunSummary]
SWEEP = "sweep:"
"""What the tag of a sweep's run begins with."""


class RunIndex:
    """The lines of the list; threads may share it."""

    def __init__(self, store: RunStore):
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}

    def rows(self) -> list[RunSummary]:
        """Every run, the newest first; one that is deleted meanwhile is left out."""
        with self._lock:
            old, self._known = self._known, {}
            found = [self._line(row, old.get(row.run_id)) for row in self._store.rows()]
        return [line for line in found if line is not None]

    def _line(self, row: RunRow, known: Known | None) -> RunSummary | None:
        seen = self._seen(row.run_id)
        if known is None or known[0] is not row or known[1] != seen:
            try:
                known = (row, seen, summary_row(self._store, row))
            except NotFound:
                return None
        self._known[row.run_id] = known
        line = known[2]
        if line.state in ACTIVE and line.usable:
            # Whoever works on it may have died, which changes no file.
            return replace(line, state=state_of(row.record))
        return line

    def _seen(self, run_id: str) -> tuple[int, ...]:
        """What changes when the run goes on, saves, or loses a checkpoint."""
        found: list[int] = []
        for name in ("", "/metrics.jsonl", "/samples.jsonl", "/events.jsonl", "/checkpoints"):
            try:
                status = os.lstat(f"{self._store.root}/{run_id}{name}")
                found += (status.st_mtime_ns, status.st_size)
            except OSError:
                found += (0, 0)
        return tuple(found)


def summary_row(store: RunStore, row: RunRow) -> RunSummary:
    """One line of the list; a damaged run says what is damaged, as far as its record and its newest rows tell.

    Raises:
        NotFound: for one that has been deleted meanwhile.
    """
    record = row.record
    if record is None:
        return RunSummary(row.run_id, damaged=row.damaged)
    try:
        return _summary_row(store, row, record)
    except DamagedRun as error:
        return RunSummary(row.run_id, damaged=str(error))


def _summary_row(store: RunStore, row: RunRow, record: dict) -> RunSummary:
    folder = store.open(row.run_id)
    last, damage = looked_at(folder, record)
    last = last or {}
    so_far = reached(record, last)
    newest = folder.checkpoints.newest(verify=False)
    parameters = record["parameters"]
    tags = tuple(record["tags"])
    known = {
        **{name: so_far.get(name) for name in SUMMED_UP},
        **_of_config(record["config"]),
        "final_val_loss": last.get("final_val_loss"),
        "num_parameters": parameters.get("total"),
        "num_trainable": parameters.get("trainable"),
        "peak_bytes": record["measured_peak_bytes"] or so_far.get("peak_bytes"),
        "sweep": next((tag.removeprefix(SWEEP) for tag in tags if tag.startswith(SWEEP)), None),
        "parent": (record["parent"] or {}).get("run_id"),
    }
    return RunSummary(
        run_id=row.run_id,
        state=_state(record),
        bytes=store.size_bytes(row.run_id),
        resumable_step=newest.step if newest else None,
        tags=tags,
        damaged=damage.in_words() if row.usable else row.damaged,
        usable=row.usable,
        **{name: record[name] for name in _OF_THE_RECORD},
        **known,
    )


_OF_THE_RECORD = (
    "kind", "name", "notes", "starred", "archived", "created_at", "updated_at", "started_at", "completed_at",
    "estimated_bytes",
)  # fmt: skip


def _state(record: dict) -> str:
    # As it is written: whether its process lives is looked at with each list.
    try:
        return record["state"] if RunState(record["state"]) in ACTIVE else state_of(record)
    except ValueError:
        return state_of(record)


def _of_config(config: dict[str, Any]) -> dict[str, Any]:
    """What the list shows of a config of either kind."""
    if "model_name" in config:
        batch = (config.get("batch_size"), config.get("gradient_accumulation"))
        found = {"model": config["model_name"], "dataset": config.get("dataset"), "adapter": config.get("adapter")}
        found |= {"context": config.get("max_seq_length")}
    else:
        batch = (config.get("batch_size"), config.get("grad_accum_steps"))
        found = {"model": size_in_words(config), "context": config.get("context_length")}
        found |= {name: config.get(name) for name in ("corpus", "tokenizer", "config_name")}
    found |= {"learning_rate": config.get("learning_rate"), "seed": config.get("seed")}
    return found | {"batch": batch[0] * batch[1] if None not in batch else None}


def size_in_words(config: dict[str, Any]) -> str | None:
    """nano, or 2x128 for two layers of width 128."""
    name, layers, width = (config.get(key) for key in ("config_name", "n_layer", "n_embd"))
    return f"{layers or 6}x{width or 256}" if name == "custom" else name
