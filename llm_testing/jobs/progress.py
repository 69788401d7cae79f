"""How long work says what it is doing, and asks whether to go on.

A download, a tokeniser and the training loop all take the same two callables. They know neither page nor terminal.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What a job is doing now.

    Args:
        phase: a word or two for people: "downloading shakespeare", "tokenising", "training", "evaluating", "saving".
        done, total: counted in unit; total is None where it is not known.
        unit: "bytes", "characters", "documents", "steps" or "batches".
    """

    phase: str
    done: int = 0
    total: int | None = None
    unit: str = ""


Report = Callable[[Progress], None]
"""Takes a Progress; cheap enough to be called ten times a second."""

Check = Callable[[], None]
"""Raises errors.Cancelled where a stop was asked for; called at least twice a second in long work."""


def report_nothing(progress: Progress) -> None:
    """The Report of a caller who does not care."""


def never_cancel() -> None:
    """The Check of a caller who cannot cancel."""
