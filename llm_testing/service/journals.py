"""Where a run's events go on disk."""

from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import asdict

from llm_testing.errors import DiskRefused
from llm_testing.store.run_folder import JournalName, RunFolder
from llm_testing.store.times import utc_now, utc_text
from llm_testing.train.events import Event, Logged, Measured, Paused, Remembered, Resumed, Sampled, Warned

_ALWAYS = ("step", "epoch", "train_loss", "val_loss", "val_bits_per_byte", "lr", "grad_norm", "tokens_seen",
           "tokens_per_s", "elapsed_s", "step_s", "peak_bytes")  # fmt: skip

_NAMES = {
    Warned: "warning", Paused: "paused", Resumed: "resumed", Remembered: "remembered", Measured: "measured",
}  # fmt: skip
MAX_WAITING = 100_000


class Journals:
    """The three journals of a run, open for writing while it lives.

    On a full disk rows wait in memory, in their order, and are written once there is room again: training goes on.
    """

    def __init__(self, folder: RunFolder):
        self._stack = ExitStack()
        names: tuple[JournalName, ...] = ("events", "metrics", "samples")
        self._journals = {name: self._stack.enter_context(folder.journal(name)) for name in names}
        self._waiting: dict[str, deque[dict]] = {name: deque(maxlen=MAX_WAITING) for name in names}

    def append(self, name: JournalName, row: dict) -> None:
        """Commit a row, after those that still wait."""
        self._waiting[name].append(row)
        self._write_waiting(name)

    def write(self, event: Event) -> None:
        """Keep an event: points in metrics, texts in samples, the rest in events."""
        if isinstance(event, Logged):
            values = asdict(event)
            # The last point alone has the loss over the whole split, and few runs skip steps.
            self.append("metrics", {k: v for k, v in values.items() if k in _ALWAYS or v})
        elif isinstance(event, Sampled):
            self.append("samples", {**asdict(event), "at": utc_text(utc_now())})
        else:
            self.append("events", {"event": _NAMES[type(event)], "at": utc_text(utc_now()), **asdict(event)})
            self.sync()

    def rewind(self, to_step: int) -> None:
        """Hide what was written beyond a step."""
        for name in ("metrics", "samples"):
            self.append(name, {"event": "rewind", "to_step": to_step})

    def sync(self) -> None:
        """Make everything so far survive a power cut, also what waited for room where there is some now."""
        for name, journal in self._journals.items():
            self._write_waiting(name)
            with suppress(DiskRefused):
                journal.sync()

    def _write_waiting(self, name: JournalName) -> None:
        waiting = self._waiting[name]
        with suppress(DiskRefused):
            while waiting:
                self._journals[name].append(waiting[0])
                waiting.popleft()

    def close(self) -> None:
        """Let go of the files, also where the disk does not take the last of them."""
        with suppress(DiskRefused):
            self._stack.close()
