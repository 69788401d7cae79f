"""What people see while they wait: one line that updates on a terminal, a line every few seconds elsewhere."""

import shutil
from collections.abc import Callable
from typing import Protocol, TextIO

from llm_testing.config.escapes import escape_controls
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.streams import escaped

_TERMINAL_S = 0.2
_LOG_S = 5.0


class View(Protocol):
    """What of a run's live view is shown; `service.views.Live` is one."""

    run_id: str
    train_loss: float | None
    val_loss: float | None
    tokens_per_s: float | None
    eta_s: float | None
    warnings: tuple[str, ...]


class ProgressLine:
    """Shows progress on a stream.

    Args:
        stream: usually stderr.
        clock: seconds that only go forward.
        view: the run as it stands, or None where there is none.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float], view: Callable[[], View | None] = lambda: None):
        self._stream, self._clock, self._view = escaped(stream), clock, view
        self._on_terminal = stream.isatty()
        self._every_s = _TERMINAL_S if self._on_terminal else _LOG_S
        self._next_s = clock()
        self._run_id: str | None = None
        self._num_warnings = 0
        self._line_open = False

    def report(self, progress: Progress) -> None:
        """Show progress, unless something was shown a moment ago."""
        view = self._view()
        if view:
            self.announce(view)
        now = self._clock()
        if now < self._next_s:
            return
        self._next_s = now + self._every_s
        line = escape_controls(progress_line(progress, view))
        if self._on_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.overwrite(line[:width].ljust(width))
            self._line_open = True
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """Write a line of its own."""
        self.close()
        self._stream.write(escape_controls(text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the updating line as it stands, so that what comes next begins a new one."""
        if self._line_open:
            self._stream.write("\n")
            self._line_open = False

    def announce(self, view: View) -> None:
        """Say what of a run has not been said yet: its id, and each of its notes."""
        if view.run_id != self._run_id:
            self._run_id = view.run_id
            self.say(f"Run {view.run_id}")
        for warning in view.warnings[self._num_warnings :]:
            self.say(f"Note: {warning}")
        self._num_warnings = len(view.warnings)


def progress_line(progress: Progress, view: View | None) -> str:
    """One line: phase, how far, and in training loss, speed and time left."""
    parts = [progress.phase]
    if progress.unit == "bytes":
        size, unit = (2**20, "MiB") if max(progress.done, progress.total or 0) >= 2**20 else (2**10, "KiB")
        parts.append(
            _of(f"{progress.done / size:,.1f}", progress.total and f"{progress.total / size:,.1f}") + f" {unit}"
        )
    elif progress.unit == "steps":
        parts.append("step " + _of(f"{progress.done:,}", progress.total and f"{progress.total:,}"))
    elif progress.unit:
        parts.append(_of(f"{progress.done:,}", progress.total and f"{progress.total:,}") + f" {progress.unit}")
    if progress.total:
        parts.append(f"{progress.done / progress.total:.0%}")
    if view and progress.unit == "steps":
        figures = (
            ("loss", view.train_loss, "{:.4f}"),
            ("val", view.val_loss, "{:.4f}"),
            ("", view.tokens_per_s, "{:,.0f} tokens/s"),
        )
        parts += [f"{name} {form.format(value)}".strip() for name, value, form in figures if value is not None]
        if view.eta_s is not None:
            parts.append(f"ETA {duration(view.eta_s)}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """75 -> "1 min 15 s", 7300 -> "2 h 1 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _of(done: str, total: str | int | None) -> str:
    return f"{done}/{total}" if total else done
