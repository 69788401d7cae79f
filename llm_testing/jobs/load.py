"""How busy the cores are that this process may use: its container's, where one is limited, else the machine's."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from llm_testing.jobs.machine import cpu_seconds_of_group, usable_cores

LEAST_S = 0.5
"""Two looks that are closer together say nothing."""


class CpuLoad:
    """The load between two looks.

    Args:
        root: where proc and sys are found.
        cores: how many cores are a load of 1.
        clock: seconds that only go forward.
    """

    def __init__(self, root: Path = Path("/"), cores: int | None = None, clock: Callable[[], float] = time.monotonic):
        self._root, self._clock = root, clock
        self._cores = cores or usable_cores(root)
        self._last = (self._clock(), self._spent())
        self._share: float | None = None

    def share(self) -> float | None:
        """0 to 1 since the look before; None until there were two."""
        now, spent = self._clock(), self._spent()
        then, before = self._last
        if now - then >= LEAST_S:
            self._share = min(1.0, max(0.0, (spent - before) / (now - then) / self._cores))
            self._last = (now, spent)
        return self._share

    def _spent(self) -> float:
        """Seconds of all cores so far."""
        in_group = cpu_seconds_of_group(self._root)
        if in_group is not None:
            return in_group
        times = psutil.cpu_times()
        return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
