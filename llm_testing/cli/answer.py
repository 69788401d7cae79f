"""What a command leaves behind: an exit status, and on stdout one JSON object or plain lines."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of the real stdout, wherever other output was sent."""
    sys.__stdout__.write(json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n")
    sys.__stdout__.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines on stdout."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table whose columns are as wide as they must be; None is shown as a dash."""
    cells = [list(heads), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def shown(value: object) -> str:
    """A value in a table: losses with four decimals, whole numbers in groups of three."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else " ".join(str(value).split())
