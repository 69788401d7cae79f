"""Curves as a page or a report draws them: columns instead of rows, long histories thinned without losing a spike."""

import math
from collections.abc import Sequence
from typing import Any

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
"""Columns whose every point matters: they are few and were dear."""

Row = dict[str, Any]


def thinned(rows: Sequence[Row], most: int) -> Sequence[Row]:
    """At most about `most` rows that draw the same curves: each stretch keeps its extremes and its gaps.

    The history is cut into equal stretches. Of each, the rows holding the least and the greatest value of every column
    of SPIKY stay, a row with a missing loss stays as the gap it is, and rows with a value of RARE always stay.
    """
    if len(rows) <= most:
        return rows
    stretches = max(1, most // (2 * len(SPIKY)))
    width = math.ceil(len(rows) / stretches)
    keep = {0, len(rows) - 1}
    for first in range(0, len(rows), width):
        keep |= _telling(rows, range(first, min(first + width, len(rows))))
    keep |= {i for i, row in enumerate(rows) if any(row.get(name) is not None for name in RARE)}
    return [rows[i] for i in sorted(keep)]


def _telling(rows: Sequence[Row], stretch: range) -> set[int]:
    """The rows of a stretch that its picture depends on."""
    found: set[int] = set()
    for name in SPIKY:
        known = [i for i in stretch if _finite(rows[i].get(name))]
        if known:
            found |= {min(known, key=lambda i: rows[i][name]), max(known, key=lambda i: rows[i][name])}
    gap = next((i for i in stretch if not _finite(rows[i].get("train_loss"))), None)
    return found if gap is None else found | {gap}


def columns_of(rows: Sequence[Row], names: Sequence[str] = COLUMNS) -> dict[str, list[float | int | None]]:
    """One list a column, None where a row has no finite value; six digits, which is more than a screen shows."""
    return {name: [_short(row.get(name)) for row in rows] for name in names}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _short(value: Any) -> float | int | None:
    if not _finite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.6g}")
