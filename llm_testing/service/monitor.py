"""The system monitor: what of this machine is in use now, each within what this process may have."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llm_testing.jobs.gpus import Gpus
from llm_testing.jobs.load import CpuLoad
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.model.device import why_no_cuda
from llm_testing.service.views import MachineView


class Monitor:
    """Looks at the machine; what cannot change while the program runs is looked at once.

    Args:
        facts: the machine as the lab sees it.
        folder: where runs are kept, whose disk counts.
        root: where proc and sys are found.
        gpus: the cards; None looks for a driver at the first look.
    """

    def __init__(
        self, facts: Callable[[], MachineView], folder: Path, root: Path = Path("/"), gpus: Gpus | None = None
    ):
        self._look, self._folder, self._root, self._gpus = facts, folder, root, gpus
        self._facts: MachineView | None = None
        self._load: CpuLoad | None = None

    def now(self) -> dict[str, Any]:
        """The machine's facts and its load; what is not known is None."""
        if self._facts is None or self._load is None:
            self._facts, self._gpus = self._look(), self._gpus or Gpus()
            self._load = CpuLoad(self._root, self._facts.cores)
        memory, cards = usable_memory_bytes(self._root), self._gpus.now()
        disk = shutil.disk_usage(self._existing())
        return {
            **asdict(self._facts),
            "memory_total_bytes": memory.total_bytes,
            "memory_available_bytes": memory.available_bytes,
            "memory_source": memory.source,
            "cpu_load": self._load.share(),
            "disk_total_bytes": disk.total,
            "disk_free_bytes": disk.free,
            "gpus": [asdict(card) for card in cards],
            "advice": why_no_cuda(cards[0].name, self._gpus.driver()) if cards else None,
        }

    def _existing(self) -> Path:
        """The runs folder, or the nearest folder above it while it is not made yet."""
        return next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
