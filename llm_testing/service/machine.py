"""The machine as this process may use it: what the form, the presets and the monitor are told of it."""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from llm_testing.config.presets import Machine
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.model.device import device_name, find_device, probe_machine, sdpa_kernels
from llm_testing.service.views import MachineView


class ThisMachine:
    """Looks at the machine; it may be asked at any time, beside a run too.

    Args:
        cores: that this process may use.
        threads: that a run takes of them unless it says otherwise.
        root: where proc and sys are found, whose limits hold.
    """

    def __init__(self, cores: int, threads: int, root: Path):
        self._cores, self._threads, self._root = cores, threads, root

    def view(self) -> MachineView:
        """Everything that is known of it now."""
        memory, device = usable_memory_bytes(self._root), find_device("auto")
        facts = probe_machine(self._cores, memory.total_bytes)
        return MachineView(
            device=str(device),
            device_name=device_name(device),
            device_memory_bytes=facts.device_memory_bytes,
            cores=self._cores,
            threads=self._threads,
            memory_total_bytes=memory.total_bytes,
            memory_available_bytes=memory.available_bytes,
            fast_bf16=facts.fast_bf16,
            sdpa_kernels=self._sdpa_kernels,
            torch_version=self._torch_version,
        )

    def probe(self) -> Machine:
        """What a preset is chosen by."""
        return probe_machine(self._cores, usable_memory_bytes(self._root).total_bytes)

    # What cannot change while the process lives is looked at once. Two threads that look at once find the same.

    @cached_property
    def _sdpa_kernels(self) -> tuple[str, ...]:
        return sdpa_kernels(find_device("auto"), "fp32", 32, 0.0)

    @cached_property
    def _torch_version(self) -> str:
        return version("torch")
