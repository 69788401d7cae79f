"""The live view of one run: the trainer writes it, anybody reads an immutable copy."""

import threading
from collections.abc import Callable
from dataclasses import replace

from llm_testing.errors import WrongState
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.states import check_transition
from llm_testing.service.views import Live
from llm_testing.train.events import Event, Logged, Remembered, Sampled, Warned

_SMOOTHING = 0.1


class Board:
    """Holds the newest `Live`. Versions come from the caller's counter, so they grow over runs too."""

    def __init__(self, live: Live, next_version: Callable[[], int]):
        self._lock = threading.Lock()
        self._live, self._next_version = live, next_version
        self._step_s: float | None = None

    def view(self) -> Live:
        """The newest state; a value, safe to keep."""
        return self._live

    def change(self, **changes: object) -> None:
        """Set some fields."""
        with self._lock:
            self._live = replace(self._live, **changes, version=self._next_version())

    def enter(self, state: str) -> None:
        """Change the state, if it may follow the present one.

        Raises:
            WrongState: naming both states and the run; nothing was changed.
        """
        with self._lock:
            self.check(state)
            self._live = replace(self._live, state=state, version=self._next_version())

    def check(self, state: str) -> None:
        """Whether a state may follow the present one.

        Raises:
            WrongState: naming both states and the run.
        """
        live = self._live
        try:
            check_transition(live.state, state)
        except WrongState as error:
            raise WrongState(f"Run {live.run_id}: {error}", live.run_id, live.state) from None

    def progress(self, progress: Progress) -> None:
        """What the run is doing."""
        self.change(phase=progress.phase, done=progress.done, total=progress.total, unit=progress.unit)

    def event(self, event: Event) -> None:
        """What the training loop told."""
        if isinstance(event, Logged):
            self._logged(event)
        elif isinstance(event, Sampled):
            self.change()  # a text came: also while the run is paused there is something new to look at
        elif isinstance(event, Remembered):
            self.change(general_text={"perplexity": event.perplexity, "before": event.before})
        elif isinstance(event, Warned):
            self.change(warnings=(*self._live.warnings, event.message))

    def _logged(self, point: Logged) -> None:
        if point.step_s is not None:
            earlier = self._step_s if self._step_s is not None else point.step_s
            self._step_s = earlier + _SMOOTHING * (point.step_s - earlier)
        changes = {
            name: value
            for name in ("train_loss", "val_loss", "val_bits_per_byte", "lr", "tokens_per_s", "step_s", "peak_bytes")
            if (value := getattr(point, name)) is not None
        }
        if point.final_val_loss is not None:
            changes |= {"val_loss": point.final_val_loss, "val_bits_per_byte": point.final_val_bits_per_byte}
        if point.val_loss is not None:
            best = self._live.best_val_loss
            changes["best_val_loss"] = point.val_loss if best is None else min(best, point.val_loss)
        total = self._live.total_steps
        eta_s = (total - point.step) * self._step_s if total and self._step_s is not None else None
        self.change(
            step=point.step,
            epoch=point.epoch,
            tokens_seen=point.tokens_seen,
            elapsed_s=point.elapsed_s,
            grad_norm=point.grad_norm,
            eta_s=eta_s,
            **changes,
        )
