"""Journals: one line of JSON a record, appended in one write, numbered and checksummed.

    {"n":17,"step":170,"train_loss":4.21,"crc":"9a3c01de"}

A record is *committed* when `append` returns: it survives the death of the process. It is *durable* (survives a power
cut) after the next fdatasync, which comes with the first append more than a second later, with `sync` and with `close`.
A line that was cut off is dropped when the journal is opened for writing; a bad line further up is reported and
skipped. `{"event": "rewind", "to_step": k}` says that training went back to step k: earlier rows beyond it are hidden.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from llm_testing.errors import DamagedRun
from llm_testing.store import files
from llm_testing.store.damage import Damage
from llm_testing.store.lines import (
    LEADING_N,
    MAX_LINE_BYTES,
    end_of_lines,
    good_record,
    is_beyond,
    is_rewind,
    line_of,
    lines_back,
    whole_lines,
)
from llm_testing.store.run_shapes import RowCheck
from llm_testing.store.shapes import Fields

MAX_POLL_BYTES = 16 * 2**20
MAX_REPORTS = 20
MAX_BACK_BYTES = 16 * 2**20
"""How far from the end a newest row is looked for."""
_SYNC_EVERY_S = 1.0
_OWN_KEYS = ("n", "crc", "nonfinite")
ANY_ROW = Fields()


@dataclass(frozen=True)
class JournalPage:
    """Rows of a journal, oldest first, without those a rewind took back.

    Args:
        next_n: pass it as after_n to get only what comes later.
        damaged: one sentence for each line that had to be skipped (the first ones; then their number).
        rewound_to: if a rewind lies after after_n, the lowest step it went back to: a caller who kept rows from
            before drops those beyond it. Else None.
    """

    rows: list[dict]
    next_n: int
    damaged: list[str] = field(default_factory=list)
    rewound_to: int | None = None


class Journal:
    """A journal opened for writing. Threads of one process may share it; two processes may not.

    Opening it moves a torn last line to `<name>.torn` and goes on with the numbers.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic):
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._synced_at = clock()
        self._unsynced = False
        self._fd = files.open_append(path)
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    def append(self, record: dict) -> int:
        """Commit a record and return its number.

        Floats that are not finite are written as null, and their names listed under "nonfinite".

        Raises:
            NotEnoughDisk: if the disk is full; the journal is as before, so that the call can be repeated.
        """
        if taken := [key for key in _OWN_KEYS if key in record]:
            raise ValueError(f"A journal writes {', '.join(taken)} itself; the record must not have it.")
        nonfinite: list[str] = []
        clean = _without_nonfinite(record, "", nonfinite)
        if nonfinite:
            clean["nonfinite"] = nonfinite
        with self._lock:
            if os.fstat(self._fd).st_size != self._end:
                # A failed write that could not be undone, or a second writer: look at the file again.
                self._recover()
            line = line_of({"n": self._next_n, **clean})
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(
                    f"A record of {len(line):,} bytes is more than the {MAX_LINE_BYTES:,} a line can have."
                )
            files.append_whole(self._fd, self.path, self._end, line)
            self._end += len(line)
            self._next_n += 1
            self._unsynced = True
            if self._clock() - self._synced_at >= _SYNC_EVERY_S:
                self._sync()
            return self._next_n - 1

    def rewind(self, to_step: int) -> int:
        """Hide the rows beyond a step, because training goes on from there."""
        return self.append({"event": "rewind", "to_step": to_step})

    def sync(self) -> None:
        """Make every committed record durable; call it before a checkpoint that refers to them is written."""
        with self._lock:
            self._sync()

    def close(self) -> None:
        """Make everything durable and let go of the file; more than once does no harm."""
        with self._lock:
            if self._fd < 0:
                return
            try:
                self._sync()
            finally:
                fd, self._fd = self._fd, -1
                os.close(fd)

    def _sync(self) -> None:
        if self._unsynced:
            files.sync_data(self._fd, self.path)
            self._unsynced = False
        self._synced_at = self._clock()

    def _recover(self) -> None:
        """Drop a torn last line, and find the number to go on with."""
        with files.open_regular(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            end = end_of_lines(file, size)
            if end < size:
                file.seek(end)
                files.append_bytes(self.path.with_name(self.path.name + ".torn"), file.read(MAX_LINE_BYTES) + b"\n")
                files.truncate(self._fd, self.path, end)
            self._end = end
            self._next_n = 0
            for num_bad, line in enumerate(lines_back(file, end)):
                if (record := good_record(line)) is not None:
                    self._next_n = record["n"] + 1 + num_bad
                    break

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class JournalReader:
    """Follow a journal that somebody writes: each `poll` reads only what is new.

    Rewind records are handed on as they are, so that a live consumer can apply them to the rows it keeps.

    Args:
        shape: what its rows may hold; what does not fit comes as null, and is told in `damage`.
    """

    def __init__(self, path: Path, shape: Fields = ANY_ROW):
        self.path = path
        self._check = RowCheck(shape, path.name)
        self._offset = self._num_lines = 0
        self.has_more = False
        """Whether the last poll left something: it takes a bounded piece."""

    @property
    def damage(self) -> Damage:
        """What could not be used so far."""
        return self._check.damage

    def poll(self) -> list[dict]:
        """The records of the whole lines since the last poll; none if the file is missing. Never raises on content."""
        try:
            with files.open_regular(self.path) as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    # Another file has taken this one's place.
                    self._offset = self._num_lines = 0
                    self._check = RowCheck(self._check.shape, self.path.name)
                file.seek(self._offset)
                data = file.read(MAX_POLL_BYTES)
        except FileNotFoundError:
            self.has_more = False
            return []
        except (DamagedRun, OSError):
            self.has_more = False
            self._check = RowCheck(self._check.shape, self.path.name)
            self.damage.wrong(self.path.name, None, "", None, "a file that can be read")
            return []
        self.has_more = len(data) == MAX_POLL_BYTES
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == MAX_POLL_BYTES:
            whole = data  # no record is this long: step over it
        records = []
        for number, line in enumerate(whole.split(b"\n"), start=self._num_lines + 1):
            if (record := good_record(line)) is not None:
                if (row := self._check.row(record, number)) is not None:
                    records.append(row)
            elif line.strip():
                self._check.unreadable(number)
        self._offset += len(whole)
        self._num_lines += max(1, whole.count(b"\n")) if whole else 0
        return records


def read_journal(path: Path, after_n: int = -1, shape: Fields = ANY_ROW) -> JournalPage:
    """Read the rows numbered above after_n; a missing file has none. Never raises, whatever the file holds."""
    check = RowCheck(shape, path.name)
    rows: list[dict] = []
    bad_lines: list[int] = []
    next_n, rewound_to = after_n, None
    try:
        with files.open_regular(path) as file:
            for number, line in enumerate(whole_lines(file), start=1):
                leading = LEADING_N.match(line)
                if leading and int(leading[1]) <= after_n:
                    continue
                record = good_record(line)
                if record is None or (record := check.row(record, number)) is None:
                    bad_lines.append(number)
                    continue
                next_n = max(next_n, record["n"])
                if is_rewind(record):
                    rows = [row for row in rows if not is_beyond(row, record["to_step"])]
                    rewound_to = record["to_step"] if rewound_to is None else min(rewound_to, record["to_step"])
                else:
                    rows.append(record)
    except FileNotFoundError:
        return JournalPage([], after_n)
    except (DamagedRun, OSError) as error:
        return JournalPage(rows, next_n, [str(error)], rewound_to)
    return JournalPage(rows, next_n, _reports(path, bad_lines), rewound_to)


def last_row(path: Path, check: RowCheck | None = None, look_at_bytes: int = 0) -> dict | None:
    """The newest row that no rewind took back, from the end of the file; None if there is none near it.

    Args:
        check: what its rows may hold; tells what did not fit of the rows that were looked at.
        look_at_bytes: go so far back in any case, for the sake of the check.
    """
    check = check or RowCheck(ANY_ROW, path.name)
    limit, newest, seen = math.inf, None, 0
    try:
        with files.open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            end = end_of_lines(file, size, most=MAX_BACK_BYTES)
            for back, line in enumerate(lines_back(file, end), start=1):
                if seen > (MAX_BACK_BYTES if newest is None else look_at_bytes):
                    break
                seen += len(line) + 1
                if (record := good_record(line)) is None:
                    check.unreadable(-back)
                elif is_rewind(record):
                    limit = min(limit, record["to_step"])
                elif (row := check.row(record, -back)) is not None and newest is None and not is_beyond(row, limit):
                    newest = row
    except FileNotFoundError:
        return None
    except (DamagedRun, OSError):
        check.damage.wrong(path.name, None, "", None, "a file that can be read")
    return newest


def _reports(path: Path, bad_lines: list[int]) -> list[str]:
    said = [f"Line {number} of {path.name} is damaged and was skipped." for number in bad_lines[:MAX_REPORTS]]
    if len(bad_lines) > MAX_REPORTS:
        said.append(f"{len(bad_lines) - MAX_REPORTS} more lines of {path.name} are damaged and were skipped.")
    return said


def _without_nonfinite(value, name: str, found: list[str]):
    """A copy of value with None for NaN and infinity, whose names are added to found: "lr", "loss.0"."""
    if isinstance(value, float) and not math.isfinite(value):
        found.append(name)
        return None
    if isinstance(value, dict):
        return {key: _without_nonfinite(item, f"{name}.{key}" if name else key, found) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nonfinite(item, f"{name}.{at}", found) for at, item in enumerate(value)]
    return value
