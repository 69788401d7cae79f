"""What a command leaves behind: an exit status, and on stdout one JSON object or plain lines.

Every command prints through here. What it prints may hold names and texts that anybody wrote, so no control character
of theirs reaches the stream (config.escapes); a line is one line, whatever a value in it says.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llm_testing.config.escapes import escape_controls
from llm_testing.jobs.streams import escaped

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of the real stdout, wherever other output was sent; in ASCII, so nothing acts."""
    sys.__stdout__.write(json.dumps(value, allow_nan=False) + "\n")
    sys.__stdout__.flush()


def print_lines(lines: Iterable[str], error: bool = False) -> None:
    """Lines on stdout.

    Args:
        error: on stderr instead.
    """
    print_text("".join(f"{escape_controls(line)}\n" for line in lines), error)


def print_text(text: str, error: bool = False) -> None:
    """A text on stdout at once, with the line breaks that it has and none after it.

    Args:
        error: on stderr instead.
    """
    stream = escaped(sys.stderr if error else sys.stdout)
    stream.write(text)
    stream.flush()


@contextlib.contextmanager
def stdout_for_json() -> Iterator[None]:
    """Whatever a package prints goes to stderr meanwhile."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def close_stdout() -> None:
    """Print no more: whoever read it, such as `head`, is gone; the interpreter must not try to flush the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table whose columns are as wide as they must be; None is shown as a dash."""
    cells = [list(map(escape_controls, heads)), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def shown(value: object) -> str:
    """A value in a table: losses with four decimals, whole numbers in groups of three, text on one line."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escape_controls(str(value))
