"""The runs of one folder as rows: each run.json is read once, and again only when its file has changed."""

import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from llm_testing.errors import BadRunId, DamagedRun
from llm_testing.store.damage import Damage
from llm_testing.store.files import unreadable
from llm_testing.store.ids import check_run_id
from llm_testing.store.run_folder import RECORD, read_record, schema_problem

_SETTLED_NS = 50_000_000
"""Clocks of file systems tick in milliseconds: of a file as young as this a second change may look like the first."""

Seen = tuple[int, ...]


@dataclass(frozen=True)
class RunRow:
    """One run as a list shows it.

    Args:
        record: the content of run.json, or None if it cannot be read.
        damaged: what is wrong with it, or None.
        usable: whether it is a run of this version. Values of one that is may be damaged: they are blank in the record.
            A run of a newer version has a record to show, and is not used.
    """

    run_id: str
    record: dict | None
    damaged: str | None
    usable: bool = False


class RunRows:
    """The rows of a folder; threads may share it."""

    def __init__(self, root: Path):
        self._root = root
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Seen, RunRow | None]] = {}

    def now(self) -> list[RunRow]:
        """Every row, the newest first.

        Raises:
            DamagedRun: if this user may not read the folder.
        """
        with self._lock:
            try:
                with os.scandir(self._root) as entries:
                    names = [entry.name for entry in entries]
            except (FileNotFoundError, NotADirectoryError):
                names = []
            except OSError as error:
                raise unreadable(self._root, error) from error
            old, self._known = self._known, {}
            rows = [self._row(name, old) for name in names]
        found = [row for row in rows if row is not None]
        return sorted(found, key=lambda row: (is_run_id(row.run_id), row.run_id), reverse=True)

    def _row(self, name: str, old: dict[str, tuple[Seen, RunRow | None]]) -> RunRow | None:
        path = self._root / name
        seen = seen_file(f"{self._root}/{name}", f"{self._root}/{name}/{RECORD}")
        known = old.get(name)
        if known is None or known[0] != seen:
            known = (seen, _read(path))
        row = known[1]
        # What cannot be read as it has just been moved away is not damaged.
        if row is not None and row.damaged is not None and not os.path.lexists(path):
            return None
        if time.time_ns() - max(seen) > _SETTLED_NS:
            self._known[name] = known
        return row


def seen_file(*paths: str) -> Seen:
    """What changes when one of the files does: kind, number, size and times of each; zeros for one that is missing."""
    found: list[int] = []
    for path in paths:
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            found += (0, 0, 0, 0, 0)
            continue
        is_file = stat.S_ISREG(status.st_mode)
        # Of a folder only what it is: files that come and go beside run.json change no row.
        times = (status.st_mtime_ns, status.st_ctime_ns) if is_file else (0, 0)
        found += (status.st_mode, status.st_ino if is_file else 0, status.st_size if is_file else 0, *times)
    return tuple(found)


def _read(path: Path) -> RunRow | None:
    try:
        return _row_of(path)
    except OSError as error:
        return RunRow(path.name, None, f"{path} cannot be read: {error}.")


def _row_of(path: Path) -> RunRow | None:
    name = path.name.encode("utf-8", "replace").decode()
    is_folder = path.is_dir() and not path.is_symlink()
    if not is_run_id(path.name):
        if path.name.startswith(".") or not is_folder or not os.path.lexists(path / RECORD):
            return None
        reason = f"The folder {ascii(name)} is not named like a run; rename it like 20261123-101500-k3f9 to use it."
        return RunRow(name, None, reason)
    if not is_folder:
        return RunRow(name, None, f"{path} is a link or a file; a run is a folder.")
    try:
        record = read_record(path)
    except DamagedRun as error:
        return RunRow(name, None, str(error))
    if reason := schema_problem(record):
        return RunRow(name, record, f"{path / RECORD} {reason}")
    damaged = Damage.of(record["damage"]).in_words() if record["damage"] else None
    return RunRow(name, record, damaged, usable=True)


def is_run_id(name: str) -> bool:
    """Whether a folder's name is one that a run can have."""
    try:
        return check_run_id(name) == name
    except BadRunId:
        return False
