"""How fast a run goes: tokens a second of training alone, time without pauses, and peak memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch


class Pace:
    """Times a session's training apart from its validation, saves and pauses."""

    def __init__(self, clock: Callable[[], float], earlier_s: float):
        self._clock, self._earlier_s = clock, earlier_s
        self._started, self._paused_s = clock(), 0.0
        self._train_s, self._tokens, self._steps = 0.0, 0, 0

    def trained(self, seconds: float, tokens: int) -> None:
        """Count one update."""
        self._train_s += seconds
        self._tokens += tokens
        self._steps += 1

    def waited(self, seconds: float) -> None:
        """Count time in which the device finished updates that were already counted."""
        self._train_s += seconds

    def since_last(self) -> tuple[float | None, float | None]:
        """Tokens a second and seconds an update since the last call; None where nothing was trained."""
        if not self._steps or self._train_s <= 0:
            return None, None
        figures = self._tokens / self._train_s, self._train_s / self._steps
        self._train_s, self._tokens, self._steps = 0.0, 0, 0
        return figures

    def elapsed_s(self) -> float:
        """Seconds in the run over all sessions, pauses left out."""
        return self._earlier_s + self._clock() - self._started - self._paused_s

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out the time spent inside."""
        began = self._clock()
        try:
            yield
        finally:
            self._paused_s += self._clock() - began


def peak_bytes(device: torch.device) -> int:
    """CUDA: the most memory allocated since the session began; elsewhere what this process holds now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss
