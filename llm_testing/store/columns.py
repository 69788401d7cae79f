"""Journals as columns of numbers: a hundred thousand rows in megabytes, read once and then only what is new.

A row of dictionaries takes a kilobyte of memory and a journal of 100,000 of them seconds to read; as arrays they take
eight bytes a number. What was read can be kept beside (`Columns.save`), so that another process need not read it again.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import orjson

from llm_testing.errors import DamagedRun
from llm_testing.store import blocks, files
from llm_testing.store.lines import MAX_LINE_BYTES, good_record, is_rewind

_BLOCK_BYTES = 4 * 2**20
_BEYOND = 2.0**63
_END_BYTES = 64
_PLAIN = frozenset({int, float, type(None)})
FORMAT = 1


@dataclass
class Columns:
    """Columns of a journal's rows, without those that a rewind took back.

    Args:
        names: of the columns; "n" and "step" come first and are whole in every row that is kept.
        values: (rows, len(names)) float64; NaN where a row has no finite number.
        rewinds: (number of the record, step it went back to), oldest first.
        num_damaged: lines that had to be skipped.
        offset: bytes of the file that have been read.
        end: the last bytes before it, by which another file of the same name is told apart.
    """

    names: tuple[str, ...]
    values: np.ndarray = field(default=None)  # type: ignore[assignment]
    rewinds: list[tuple[int, int]] = field(default_factory=list)
    num_damaged: int = 0
    offset: int = 0
    end: bytes = b""
    next_n: int = -1

    def __post_init__(self):
        if self.values is None:
            self.values = np.empty((0, len(self.names)))

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> np.ndarray:
        """One column, (rows,) float64."""
        return self.values[:, self.names.index(name)]

    def after(self, n: int) -> np.ndarray:
        """The rows numbered above n."""
        return self.values[np.searchsorted(self.values[:, 0], n, side="right") :]

    def rewound_to(self, n: int) -> int | None:
        """The lowest step that a rewind numbered above n went back to."""
        return min((step for number, step in self.rewinds if number > n), default=None)

    @property
    def num_bytes(self) -> int:
        """Memory that the values take."""
        return self.values.nbytes

    # Reading.

    def grow(self, path: Path) -> bool:
        """Read what a journal has got since; whether anything is new. A missing file has no rows.

        Raises:
            DamagedRun: for what is no regular file.
        """
        try:
            with files.open_regular(path) as file:
                if not self._is_same(file):
                    self._forget()
                file.seek(self.offset)
                before = self.offset
                self._read(file)
                return self.offset != before
        except FileNotFoundError:
            new = self.offset > 0
            self._forget()
            return new

    def _is_same(self, file: BinaryIO) -> bool:
        """Whether what has been read is still the beginning of the file."""
        if not self.offset:
            return True
        if file.seek(0, os.SEEK_END) < self.offset:
            return False
        file.seek(self.offset - len(self.end))
        return file.read(len(self.end)) == self.end

    def _forget(self) -> None:
        self.values, self.rewinds = np.empty((0, len(self.names))), []
        self.num_damaged, self.offset, self.end, self.next_n = 0, 0, b"", -1

    def _read(self, file: BinaryIO) -> None:
        parts: list[np.ndarray] = [self.values]
        while block := file.read(_BLOCK_BYTES):
            whole = block[: block.rfind(b"\n") + 1]
            if not whole:
                if len(block) < MAX_LINE_BYTES:
                    break  # a line that is being written
                whole = block  # no record is this long: step over it
            parts = self._take(whole, parts)
            self.offset += len(whole)
            self.end = (self.end + whole[-_END_BYTES:])[-_END_BYTES:]
            file.seek(self.offset)
        if len(parts) > 1:
            self.values = np.concatenate(parts)

    def _take(self, block: bytes, parts: list[np.ndarray]) -> list[np.ndarray]:
        """The rows of whole lines, behind those of parts."""
        if len(block) >= blocks.WORTH_BYTES and (found := blocks.table_of(block, self.names)) is not None:
            self.next_n = max(self.next_n, int(found[:, 0].max()))
            return [*parts, found[~np.isnan(found[:, 1])]]
        records = _fast_records(block)
        found = self._array([record for record in records if record is not None])
        if (np.abs(found) >= _BEYOND).any():
            # An integer of 20 digits has become a float: read it the slow, strict way, which refuses it.
            records = [good_record(line) for line in block.split(b"\n")[:-1]]
            found = self._array([record for record in records if record is not None])
        rows: list[dict] = []
        for record in records:
            if record is None:
                self.num_damaged += 1
                continue
            self.next_n = max(self.next_n, record["n"])
            if "event" in record and is_rewind(record):
                parts = [_until(part, record["to_step"]) for part in (*parts, self._array(rows))]
                rows = []
                self.rewinds.append((record["n"], record["to_step"]))
            else:
                rows.append(record)
        return [*parts, found if len(found) == len(records) else self._array(rows)]

    def _array(self, rows: Sequence[dict]) -> np.ndarray:
        """(rows, names) of rows that have a number and a step."""
        # Nearly all rows have the keys of the first; what has others is read name by name.
        alike = [name for name in self.names if rows and name in rows[0]]
        try:
            if not alike or any(len(row) != len(rows[0]) for row in rows):
                raise KeyError
            found = np.full((len(rows), len(self.names)), np.nan)
            picked = list(map(itemgetter(*alike), rows))
            if not _PLAIN.issuperset(map(type, chain.from_iterable(picked))):
                raise TypeError  # numpy would take "9" and true for numbers
            values = np.array(picked, dtype=float)
            found[:, [self.names.index(name) for name in alike]] = values.reshape(len(rows), -1)
        except (KeyError, TypeError, ValueError, OverflowError):
            found = np.array([[_number(row.get(name)) for name in self.names] for row in rows], dtype=float)
        found = found.reshape(-1, len(self.names))
        found[~np.isfinite(found)] = np.nan
        return found[~np.isnan(found[:, :2]).any(axis=1)]

    # Keeping.

    def save(self, path: Path) -> None:
        """Keep what was read in a file of its own."""
        facts = {
            "format": FORMAT, "names": self.names, "rewinds": self.rewinds, "num_damaged": self.num_damaged,
            "offset": self.offset, "end": self.end.hex(), "next_n": self.next_n, "rows": len(self),
        }  # fmt: skip
        head = orjson.dumps(facts) + b"\n"
        body = np.ascontiguousarray(self.values, dtype="<f8").tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not synced: after a power cut the checksum tells, and it is made again.
        draft = path.with_name(files.draft_name())
        try:
            draft.write_bytes(head + b"%08x" % zlib.crc32(body) + body)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, names: tuple[str, ...]) -> Self:
        """What was kept, or empty columns where it is missing, damaged or of another version."""
        with suppress(OSError, DamagedRun, ValueError, KeyError, TypeError), files.open_regular(path) as file:
            facts = orjson.loads(file.readline(2**20))
            crc, body = file.read(8), file.read()
            if facts["format"] == FORMAT and tuple(facts["names"]) == names and int(crc, 16) == zlib.crc32(body):
                values = np.frombuffer(body, dtype="<f8").reshape(facts["rows"], len(names)).copy()
                rewinds = [(int(n), int(step)) for n, step in facts["rewinds"]]
                end = bytes.fromhex(facts["end"])
                return cls(names, values, rewinds, facts["num_damaged"], facts["offset"], end, facts["next_n"])
        return cls(names)


_CRC_BYTES = len(b',"crc":"00000000"}')


def _fast_records(block: bytes) -> list[dict | None]:
    """As `good_record` of each line, for lines without numbers beyond 64 bits."""
    crc32, loads, found = zlib.crc32, orjson.loads, []
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        record = None
        if line[-_CRC_BYTES : 8 - _CRC_BYTES] == b',"crc":"' and line[-2:] == b'"}' and line[:5] == b'{"n":':
            try:
                if crc32(b"}", crc32(line[:-_CRC_BYTES])) == int(line[-10:-2], 16):
                    record = loads(line)
                    if type(record.get("n")) is not int:
                        record = None
            except ValueError:
                pass
        found.append(record)
    return found


def _until(rows: np.ndarray, step: int) -> np.ndarray:
    return rows[rows[:, 1] <= step]


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return float("nan")
