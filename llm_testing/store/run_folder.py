"""One run's folder: its record, its journals and its checkpoints.

    run.json   metrics.jsonl   samples.jsonl   events.jsonl   checkpoints/

run.json is replaced in one step and always carries a schema number. Every value of it and of the journals' rows is held
against its shape (`run_shapes`) when it is read, so whoever shows runs may use them without looking twice, also where
somebody edited a file or brought it from elsewhere. What does not fit is blank, and told as damage.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Literal

from llm_testing.errors import DamagedRun
from llm_testing.store import files
from llm_testing.store.changes import Changes
from llm_testing.store.checkpoints import Checkpoints
from llm_testing.store.damage import Damage
from llm_testing.store.journal import Journal, JournalPage, JournalReader, last_row, read_journal
from llm_testing.store.run_shapes import JOURNALS, KINDS, RowCheck, record_shape
from llm_testing.store.shapes import Fields, Look
from llm_testing.store.staging import clear_leftovers
from llm_testing.store.strict_json import json_bytes, parse_any_numbers
from llm_testing.store.times import utc_now, utc_text

RECORD = "run.json"
LOCK = ".records.lock"
SCHEMA = 1
JournalName = Literal["metrics", "samples", "events"]
MAX_RECORD_BYTES = 64 * 2**20
_NEWEST_BYTES = 8 * 2**10
_FIELDS = (
    "schema", "run_id", "kind", "name", "notes", "state", "tags", "starred", "archived", "created_at", "updated_at",
    "started_at", "completed_at", "config", "environment", "data", "parameters", "summary", "estimate", "measured",
    "owner", "parent", "estimated_bytes", "measured_peak_bytes", "error",
)  # fmt: skip
"""What every record has."""


def blank_record() -> dict:
    """A record with every field of the schema, so that readers find each of them."""
    shapes = record_shape(None).fields
    return {name: deepcopy(shapes[name].blank) for name in _FIELDS}


class RunFolder:
    """A run that exists. Threads may share it; two folders that `RunStore.open` gave share one lock."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
        changes: Changes | None = None,
    ):
        self.path = path
        self.run_id = path.name
        self._changes = changes or Changes()
        self.checkpoints = Checkpoints(path / "checkpoints", self._changes)
        self._now, self._clock = now, clock

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.path / "samples.jsonl"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    def record(self) -> dict:
        """The content of run.json, as `read_record` gives it.

        Raises:
            DamagedRun: naming the file and the reason.
        """
        return read_record(self.path)

    def update(self, **changes: object) -> dict:
        """Change some fields of run.json in one step, and the time of the change; returns the new record.

        Raises:
            DamagedRun: if it cannot be read, or was written by a newer version: then it is left alone; and for a field
                that no reader would take.
        """
        # A command line may write on a run that the page's process trains: from reading to replacing it is alone.
        with self._changes, files.lock_file(self.path.parent / LOCK):
            written = _as_written(self.path)
            before = _held(written, self.run_id)
            if reason := schema_problem(before):
                raise DamagedRun(f"{self.path / RECORD} {reason}")
            changes = {**changes, "updated_at": utc_text(self._now())}
            # What is damaged and not changed stays as it was found.
            kept = {**blank_record(), **written, "run_id": self.run_id}
            kept |= writable(changes, before["kind"], self.path / RECORD)
            kept.pop("damage", None)
            clear_leftovers(self.path)
            files.write_json(self.path / RECORD, kept)
            return _held(kept, self.run_id)

    def journal(self, name: JournalName) -> Journal:
        """Open a journal for writing; whoever opens it closes it, and opens it once."""
        return Journal(self._journal_path(name), self._clock)

    def read(self, name: JournalName, after_n: int = -1) -> JournalPage:
        """The rows of a journal above a number; an absent journal has none."""
        return read_journal(self._journal_path(name), after_n, JOURNALS[name])

    def reader(self, name: JournalName) -> JournalReader:
        """Follow a journal that is being written."""
        return JournalReader(self._journal_path(name), JOURNALS[name])

    def last_row(self, name: JournalName, damage: Damage | None = None) -> dict | None:
        """The newest row of a journal, without reading the others.

        Args:
            damage: takes in what is wrong with the newest rows, some dozens.
        """
        path = self._journal_path(name)
        check = RowCheck(JOURNALS[name], path.name, damage)
        return last_row(path, check, 0 if damage is None else _NEWEST_BYTES)

    def _journal_path(self, name: str) -> Path:
        if name not in JOURNALS:
            raise ValueError(f"A run has the journals {', '.join(JOURNALS)}, not {name!r}.")
        return self.path / f"{name}.jsonl"


def read_record(folder: Path) -> dict:
    """The record in a run's folder, with every field of the schema, each of its shape.

    "damage" is what did not fit, as `Damage.as_record` gives it, or None.

    Raises:
        DamagedRun: naming the file and the reason, where nothing of it can be read.
    """
    record = _held(_as_written(folder), folder.name)
    if record["damage"] and record["schema"] != SCHEMA and (reason := schema_problem(record)):
        raise DamagedRun(f"{folder / RECORD} {reason}")
    return record


def schema_problem(record: dict) -> str | None:
    """Why a record must not be changed or trusted field by field, or None if this version wrote its schema."""
    if record["damage"] and Damage.of(record["damage"]).in_field("schema"):
        return "has no usable schema number, so it may be of another program. It is kept as it is."
    if record["schema"] == SCHEMA:
        return None
    return (
        f"was written by a newer version (schema {record['schema']}; this version knows {SCHEMA}). "
        f"It is kept as it is; update to change it."
    )


def writable(fields: dict, kind: object, path: Path) -> dict:
    """Fields of a record as they may be written: a text that is too long is cut.

    Raises:
        DamagedRun: for a field that no reader would take.
        ValueError: for NaN and infinity.
    """
    json_bytes(fields)
    damage = Damage()
    held = _shape(kind).held(fields, "", Look(damage, path.name))
    if damage.num_values:
        raise DamagedRun(f"{path} is not written: {damage.in_words()}")
    return held


def _as_written(folder: Path) -> dict:
    return files.read_json(folder / RECORD, MAX_RECORD_BYTES, parse_any_numbers)


def _held(written: dict, run_id: str) -> dict:
    """The record in which every field has its shape."""
    damage = Damage()
    look = Look(damage, RECORD)
    shape = _shape(written.get("kind"))
    given = {name: value for name, value in written.items() if name != "damage"}
    held = shape.held(given, "", look)
    for name in ("schema", "state"):
        if name not in held:
            look.wrong(name, None, shape.fields[name])
    return {**blank_record(), **held, "run_id": run_id, "damage": damage.as_record() if damage else None}


def _shape(kind: object) -> Fields:
    return record_shape(kind if isinstance(kind, str) and kind in KINDS else None)
