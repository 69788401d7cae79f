"""Where a run's events go on disk."""

from contextlib import ExitStack
from dataclasses import asdict

from llm_testing.store.run_folder import RunFolder
from llm_testing.store.times import utc_now, utc_text
from llm_testing.train.events import Event, Logged, Paused, Resumed, Sampled, Warned

_ALWAYS = ("step", "epoch", "train_loss", "val_loss", "val_bits_per_byte", "lr", "grad_norm", "tokens_seen",
           "tokens_per_s", "elapsed_s", "step_s", "peak_bytes")  # fmt: skip


class Journals:
    """The three journals of a run, open for writing while it lives."""

    def __init__(self, folder: RunFolder):
        self._stack = ExitStack()
        self.metrics = self._stack.enter_context(folder.journal("metrics"))
        self.samples = self._stack.enter_context(folder.journal("samples"))
        self.events = self._stack.enter_context(folder.journal("events"))

    def write(self, event: Event) -> None:
        """Keep an event: points in metrics, texts in samples, the rest in events."""
        if isinstance(event, Logged):
            values = asdict(event)
            # The last point alone has the loss over the whole split, and few runs skip steps.
            self.metrics.append({k: v for k, v in values.items() if k in _ALWAYS or v})
        elif isinstance(event, Sampled):
            self.samples.append({**asdict(event), "at": utc_text(utc_now())})
        elif isinstance(event, Warned):
            self._event("warning", event)
        elif isinstance(event, Paused):
            self._event("paused", event)
            self.sync()
        elif isinstance(event, Resumed):
            self._event("resumed", event)

    def rewind(self, to_step: int) -> None:
        """Hide what was written beyond a step, where there is something."""
        self.metrics.rewind(to_step)
        self.samples.rewind(to_step)

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        for journal in (self.metrics, self.samples, self.events):
            journal.sync()

    def close(self) -> None:
        """Let go of the files."""
        self._stack.close()

    def _event(self, name: str, event: Event) -> None:
        self.events.append({"event": name, "at": utc_text(utc_now()), **asdict(event)})

    def __enter__(self) -> "Journals":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
