"""One run's folder: its record, its journals and its checkpoints.

    run.json   metrics.jsonl   samples.jsonl   events.jsonl   checkpoints/

run.json is replaced in one step and always carries a schema number. Its fields are checked when it is read, so whoever
lists runs may use them without looking twice, also where somebody edited the file.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock

from llm_testing.errors import DamagedRun
from llm_testing.store import files
from llm_testing.store.changes import Changes
from llm_testing.store.checkpoints import Checkpoints
from llm_testing.store.journal import Journal, JournalPage, JournalReader, last_row, read_journal
from llm_testing.store.staging import clear_leftovers
from llm_testing.store.times import utc_now, utc_text

RECORD = "run.json"
LOCK = ".records.lock"
SCHEMA = 1
JournalName = Literal["metrics", "samples", "events"]
_JOURNALS = ("metrics", "samples", "events")

_TEXT = {"run_id": "", "kind": "", "name": "", "notes": "", "state": ""}
_TEXT_OR_NONE = ("created_at", "updated_at", "started_at", "completed_at")
_OBJECT = ("config", "environment", "data", "parameters", "summary", "estimate", "measured")
_OBJECT_OR_NONE = ("owner", "parent")
_WORDS_OR_OBJECT_OR_NONE = ("error",)
_COUNT_OR_NONE = ("estimated_bytes", "measured_peak_bytes")
_YES_OR_NO = ("starred", "archived")


def blank_record() -> dict:
    """A record with every field of the schema, so that readers find each of them."""
    return {
        "schema": SCHEMA,
        **_TEXT,
        "tags": [],
        **dict.fromkeys(_YES_OR_NO, False),
        **dict.fromkeys(_TEXT_OR_NONE),
        **{key: {} for key in _OBJECT},
        **dict.fromkeys(_OBJECT_OR_NONE),
        **dict.fromkeys(_COUNT_OR_NONE),
        **dict.fromkeys(_WORDS_OR_OBJECT_OR_NONE),
    }


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
        """The content of run.json, with every field of the schema.

        Raises:
            DamagedRun: naming the file and the reason.
        """
        return read_record(self.path)

    def update(self, **changes: object) -> dict:
        """Change some fields of run.json in one step, and the time of the change; returns the new record.

        Raises:
            DamagedRun: if it cannot be read, or was written by a newer version: then it is left alone.
        """
        # A command line may write on a run that the page's process trains: from reading to replacing it is alone.
        with self._changes, FileLock(self.path.parent / LOCK, thread_local=False):
            record = self.record()
            if reason := newer_schema(record):
                raise DamagedRun(f"{self.path / RECORD} {reason}")
            record = {**record, **changes, "updated_at": utc_text(self._now())}
            check_record(record, self.path / RECORD)
            clear_leftovers(self.path)
            files.write_json(self.path / RECORD, record)
            return record

    def journal(self, name: JournalName) -> Journal:
        """Open a journal for writing; whoever opens it closes it, and opens it once."""
        return Journal(self._journal_path(name), self._clock)

    def read(self, name: JournalName, after_n: int = -1) -> JournalPage:
        """The rows of a journal above a number; an absent journal has none."""
        return read_journal(self._journal_path(name), after_n)

    def reader(self, name: JournalName) -> JournalReader:
        """Follow a journal that is being written."""
        return JournalReader(self._journal_path(name))

    def last_row(self, name: JournalName) -> dict | None:
        """The newest row of a journal, without reading the others."""
        return last_row(self._journal_path(name))

    def _journal_path(self, name: str) -> Path:
        if name not in _JOURNALS:
            raise ValueError(f"A run has the journals {', '.join(_JOURNALS)}, not {name!r}.")
        return self.path / f"{name}.jsonl"


def read_record(folder: Path) -> dict:
    """The record in a run's folder.

    Raises:
        DamagedRun: naming the file and the reason.
    """
    path = folder / RECORD
    record = files.read_json(path)
    schema = record.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise DamagedRun(f"{path} has the schema number {str(schema)[:40]!r}; a whole number from 1 on is expected.")
    record = {**blank_record(), **record, "run_id": folder.name}
    try:
        check_record(record, path)
    except DamagedRun as error:
        if reason := newer_schema(record):
            raise DamagedRun(f"{path} {reason}") from error
        raise
    return record


def newer_schema(record: dict) -> str | None:
    """Why a record must not be changed or trusted field by field, or None if this version wrote its schema."""
    if record["schema"] == SCHEMA:
        return None
    return (
        f"was written by a newer version (schema {record['schema']}; this version knows {SCHEMA}). "
        f"It is kept as it is; update to change it."
    )


def check_record(record: dict, path: Path) -> None:
    """Refuse a record with a field of the wrong type, or without a state."""
    _expect(record, path, tuple(_TEXT), str, "text")
    _expect(record, path, _TEXT_OR_NONE, str | None, "text or null")
    _expect(record, path, _OBJECT, dict, "an object")
    _expect(record, path, _OBJECT_OR_NONE, dict | None, "an object or null")
    _expect(record, path, _WORDS_OR_OBJECT_OR_NONE, str | dict | None, "text, an object or null")
    _expect(record, path, _COUNT_OR_NONE, int | None, "a whole number or null")
    _expect(record, path, _YES_OR_NO, bool, "true or false")
    tags = record["tags"]
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DamagedRun(f"{path}: tags must be a list of texts.")
    if not record["state"]:
        raise DamagedRun(f"{path} has no state.")


def _expect(record: dict, path: Path, keys: tuple[str, ...], kind: object, words: str) -> None:
    for key in keys:
        if not isinstance(record[key], kind):
            raise DamagedRun(f"{path}: {key} must be {words}, it is {type(record[key]).__name__}.")
