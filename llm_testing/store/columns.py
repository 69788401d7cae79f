"""Journals as columns of numbers: a hundred thousand rows in megabytes, read once and then only what is new.

A row of dictionaries takes a kilobyte of memory and a journal of 100,000 of them seconds to read; as arrays they take
eight bytes a number. What was read can be kept beside (`Columns.save`), so that another process need not read it again.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import orjson

from llm_testing.errors import DamagedRun
from llm_testing.store import blocks, files
from llm_testing.store.damage import Damage
from llm_testing.store.lines import MAX_LINE_BYTES, good_record, is_rewind
from llm_testing.store.run_shapes import METRICS, RowCheck

_BLOCK_BYTES = 4 * 2**20
_END_BYTES = 64
FORMAT = 2


@dataclass
class Columns:
    """Columns of a journal's rows, without those that a rewind took back.

    Args:
        names: of the columns; "n" and "step" come first and are whole in every row that is kept.
        values: (rows, len(names)) float64; NaN where a row has no finite number.
        rewinds: (number of the record, step it went back to), oldest first.
        check: holds rows against their shape; what it found is `damage`.
        num_lines: that have been read.
        offset: bytes of the file that have been read.
        end: the last bytes before it, by which another file of the same name is told apart.
    """

    names: tuple[str, ...]
    values: np.ndarray = field(default=None)  # type: ignore[assignment]
    rewinds: list[tuple[int, int]] = field(default_factory=list)
    offset: int = 0
    end: bytes = b""
    next_n: int = -1
    num_lines: int = 0
    check: RowCheck = field(default_factory=lambda: RowCheck(METRICS, "metrics.jsonl"))

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
    def damage(self) -> Damage:
        """What of the file could not be used."""
        return self.check.damage

    @property
    def num_damaged(self) -> int:
        """Lines that had to be skipped."""
        return self.damage.num_lines

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
        self.offset, self.end, self.next_n, self.num_lines = 0, b"", -1, 0
        self.check = RowCheck(self.check.shape, self.check.file)

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
        wanted = len(block) >= blocks.WORTH_BYTES
        if wanted and (found := blocks.table_of(block, self.names, self.check.shape)) is not None:
            self.next_n = max(self.next_n, int(found[:, 0].max()))
            self.num_lines += len(found)
            return [*parts, found]
        rows: list[dict] = []
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, start=self.num_lines + 1):
            record = good_record(line)
            if record is None:
                if line.strip():
                    self.check.unreadable(number)
                continue
            self.next_n = max(self.next_n, record["n"])
            row = self.check.row(record, number)
            if row is None:
                continue
            if "event" in row and is_rewind(row):
                parts = [_until(part, row["to_step"]) for part in (*parts, self._array(rows))]
                rows = []
                self.rewinds.append((row["n"], row["to_step"]))
            else:
                rows.append(row)
        self.num_lines += len(lines)
        return [*parts, self._array(rows)]

    def _array(self, rows: Sequence[dict]) -> np.ndarray:
        """(rows, names) of rows that have their shape."""
        # Nearly all rows have the keys of the first; what has others is read name by name.
        found = np.full((len(rows), len(self.names)), np.nan)
        if not rows:
            return found
        alike = [name for name in self.names if name in rows[0]]
        try:
            picked = list(map(itemgetter(*alike), rows))
            if any(len(row) != len(rows[0]) for row in rows):
                raise KeyError
            values = np.array(picked, dtype=float)
            found[:, [self.names.index(name) for name in alike]] = values.reshape(len(rows), -1)
        except KeyError:
            found[:] = np.array([[row.get(name) for name in self.names] for row in rows], dtype=float)
        return found

    # Keeping.

    def save(self, path: Path) -> None:
        """Keep what was read in a file of its own."""
        facts = {
            "format": FORMAT, "names": self.names, "rewinds": self.rewinds, "damage": self.damage.as_record(),
            "offset": self.offset, "end": self.end.hex(), "next_n": self.next_n, "rows": len(self),
            "num_lines": self.num_lines,
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
                found = cls(names, values, rewinds, facts["offset"], end, facts["next_n"], facts["num_lines"])
                found.check.damage = Damage.of(facts["damage"])
                return found
        return cls(names)


def _until(rows: np.ndarray, step: int) -> np.ndarray:
    return rows[rows[:, 1] <= step]
