"""Curves as a page or a report draws them: columns of numbers, long histories thinned without losing a spike."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from llm_testing.errors import ConfigError, NotEnoughDisk, Problem, UserError
from llm_testing.jobs.threads import two_at_a_time
from llm_testing.store.columns import Columns
from llm_testing.store.runs import RunStore

COLUMNS = (
    "step",
    "train_loss",
    "val_loss",
    "val_bits_per_byte",
    "final_val_loss",
    "lr",
    "grad_norm",
    "tokens_per_s",
    "peak_bytes",
    "tokens_seen",
    "elapsed_s",
)
"""What a chart needs of a metrics row."""
SPIKY = ("train_loss", "lr", "grad_norm", "tokens_per_s")
"""Columns whose smallest and largest value of every stretch must stay visible."""
RARE = ("val_loss", "final_val_loss")
"""Columns whose every point matters while they are few; of many each stretch keeps its extremes."""
X_COLUMNS = {"step": "step", "tokens": "tokens_seen", "time": "elapsed_s"}
"""What curves can be drawn over, and the column that has it."""

MOST_KEPT_BYTES = 128 * 2**20
MOST_FILES = 100
_WORTH_KEEPING = 2 * 2**20
"""A journal that has grown by so many bytes is worth keeping as numbers beside."""


class CurveStore:
    """The curves of a store's runs as arrays: the newest few in memory, large ones also beside, in a cache.

    Threads may share it. What it holds in memory is bounded, however many runs are looked at.
    """

    def __init__(self, store: RunStore, cache_dir: Path):
        self._store, self._folder = store, cache_dir / "curves"
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[threading.Lock, Columns]] = OrderedDict()
        self._saved: dict[str, int] = {}

    def of(self, run_id: str) -> Columns:
        """A run's whole curve, read on from where the last look ended. Nobody changes what is in it.

        Raises:
            NotFound: if there is no such run.
            DamagedRun: if its journal is no file.
        """
        path = self._store.open(run_id).metrics
        with self._lock:
            entry = self._kept.pop(run_id, None) or (threading.Lock(), Columns(("n", *COLUMNS)))
            self._kept[run_id] = entry
        lock, columns = entry
        with lock:
            if not columns.offset:
                self._load(run_id, columns)
            columns.grow(path)
            self._save(run_id, columns)
            seen = Columns(columns.names, columns.values, list(columns.rewinds), next_n=columns.next_n)
            seen.check.damage = columns.damage.copy()
        self._forget_some()
        return seen

    def several(self, run_ids: Sequence[str]) -> dict[str, Columns]:
        """`of` each run."""
        return dict(zip(run_ids, two_at_a_time(run_ids, self.of), strict=True))

    def keep(self, run_id: str) -> bool:
        """Keep a long curve beside, so that whoever looks at it first need not wait; a failure costs nothing else.

        Returns:
            Whether it had to be read for that. It does not stay in memory.
        """
        with suppress(UserError, OSError):
            journal, kept = self._store.open(run_id).metrics.stat(), self._path(run_id)
            is_kept = kept.exists() and kept.stat().st_mtime_ns >= journal.st_mtime_ns
            if journal.st_size >= _WORTH_KEEPING and not is_kept:
                self.of(run_id)
                with self._lock:
                    self._kept.pop(run_id, None)
                return True
        return False

    def _load(self, run_id: str, columns: Columns) -> None:
        kept = Columns.load(self._path(run_id), columns.names)
        self._saved[run_id] = kept.offset
        vars(columns).update(vars(kept))

    def _save(self, run_id: str, columns: Columns) -> None:
        if abs(columns.offset - self._saved.get(run_id, 0)) < _WORTH_KEEPING:
            return
        self._saved[run_id] = columns.offset
        with suppress(OSError, NotEnoughDisk):
            columns.save(self._path(run_id))
            files = sorted(self._folder.glob("*.columns"), key=lambda path: path.stat().st_mtime)
            for path in files[: -MOST_FILES or None]:
                path.unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        where = sha256(str(self._store.root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return self._folder / f"{run_id}-{where}.columns"

    def _forget_some(self) -> None:
        with self._lock:
            total = sum(columns.num_bytes for _, columns in self._kept.values())
            while total > MOST_KEPT_BYTES and len(self._kept) > 1:
                run_id, (_, columns) = self._kept.popitem(last=False)
                self._saved.pop(run_id, None)
                total -= columns.num_bytes


def within(values: np.ndarray, names: Sequence[str], x: str, from_x: float | None, to_x: float | None) -> np.ndarray:
    """The rows whose x lies in a range, and one more at either side, so that lines run to the edge.

    Raises:
        ConfigError: for an x that there is not.
    """
    if from_x is None and to_x is None:
        return values
    if x not in X_COLUMNS:
        raise ConfigError([Problem("x", f"x is one of {', '.join(X_COLUMNS)}; received {x[:40]!r}.")])
    along = np.maximum.accumulate(np.nan_to_num(values[:, names.index(X_COLUMNS[x])]))
    first = 0 if from_x is None else max(0, int(np.searchsorted(along, from_x, side="left")) - 1)
    last = len(along) if to_x is None else int(np.searchsorted(along, to_x, side="right")) + 1
    return values[first:last]


def thinned(values: np.ndarray, names: Sequence[str], most: int) -> np.ndarray:
    """At most about `most` rows that draw the same curves: each stretch keeps its extremes and its gaps.

    The history is cut into equal stretches. Of each, the rows holding the least and the greatest value of every column
    of SPIKY stay, and the first row with a missing loss stays as the gap it is. Rows with a value of RARE stay while
    they are fewer than half of `most`; of more than that, each stretch of them keeps its extremes.

    Args:
        values: (rows, len(names)); NaN where a value is missing.
    """
    if len(values) <= most:
        return values
    stretches = max(1, most // (2 * len(SPIKY)))
    keep = [np.array([0, len(values) - 1])]
    every = np.arange(len(values))
    for name in SPIKY:
        keep.append(_extremes(values[:, names.index(name)], every, stretches))
    gaps = np.isnan(values[:, names.index("train_loss")])
    if gaps.any():
        starts = np.flatnonzero(gaps & ~np.concatenate([[False], gaps[:-1]]))
        keep.append(starts if len(starts) <= stretches else _first_of_each(starts, len(values), stretches))
    for name in RARE:
        column = values[:, names.index(name)]
        rows = np.flatnonzero(~np.isnan(column))
        keep.append(rows if len(rows) <= most // 2 else _extremes(column[rows], rows, most // 4))
    return values[np.unique(np.concatenate(keep))]


def _extremes(column: np.ndarray, rows: np.ndarray, stretches: int) -> np.ndarray:
    """Of equal stretches of a column, the rows of the least and of the greatest value."""
    width = -(-len(column) // stretches)
    padded = np.full(width * stretches, np.nan)
    padded[: len(column)] = column
    shaped = padded.reshape(stretches, width)
    known = ~np.isnan(shaped).all(axis=1)
    first = np.arange(stretches) * width
    least = first + np.where(np.isnan(shaped), np.inf, shaped).argmin(axis=1)
    greatest = first + np.where(np.isnan(shaped), -np.inf, shaped).argmax(axis=1)
    return rows[np.concatenate([least[known], greatest[known]])]


def _first_of_each(found: np.ndarray, length: int, stretches: int) -> np.ndarray:
    """The first of the rows found in each stretch of a history."""
    _, first = np.unique(found * stretches // length, return_index=True)
    return found[first]


def columns_of(values: np.ndarray, names: Sequence[str], wanted: Sequence[str] = COLUMNS) -> dict[str, list[Any]]:
    """One list a column, None where a row has no finite value; six digits, which is more than a screen shows."""
    return {name: _short(values[:, names.index(name)]) for name in wanted}


def _short(column: np.ndarray) -> list[float | int | None]:
    if np.isnan(column).all():
        return [None] * len(column)
    return [None if value != value else _digits(value) for value in column.tolist()]


def _digits(value: float) -> float | int:
    return int(value) if value == int(value) and abs(value) < 2**53 else float(f"{value:.6g}")
