"""Says what long work is doing, and asks whether to go on, at a rate that neither floods nor lags."""

import time

from llm_testing.jobs.progress import Check, Progress, Report

INTERVAL_S = 0.1


class Pace:
    """Calls report and check at most ten times a second, however small the pieces of work are.

    Args:
        report, check: the two callables of the job.
        phase, total, unit: see Progress; the phase is reported at once, with nothing done.
    """

    def __init__(self, report: Report, check: Check, phase: str, total: int | None = None, unit: str = ""):
        self._report = report
        self._check = check
        self.phase = phase
        self.total = total
        self.unit = unit
        self.done = 0
        self._last_s = time.monotonic()
        check()
        report(Progress(phase, 0, total, unit))

    def add(self, amount: int) -> None:
        """Count work done; raises errors.Cancelled where a stop was asked for."""
        self.done += amount
        now_s = time.monotonic()
        if now_s - self._last_s >= INTERVAL_S:
            self._last_s = now_s
            self._check()
            self._report(Progress(self.phase, self.done, self.total, self.unit))

    def finish(self) -> None:
        """Report the last figure, which add() may have held back."""
        self._check()
        self._report(Progress(self.phase, self.done, self.total, self.unit))
