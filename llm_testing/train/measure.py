"""The most bytes of one training step on the CPU, which keeps no count: torch tells every change of its allocator.

Told by torch's older profiler, which costs a few microseconds an operation; the newer one takes a second to come up and
writes to the standard error output.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch._C._autograd import _disable_profiler_legacy, _enable_profiler_legacy
from torch._C._profiler import ProfilerConfig, ProfilerState, _ExperimentalConfig

from llm_testing.train.step import TrainingStep


@dataclass
class Watched:
    """What a step took; peak_bytes is None until it is over."""

    peak_bytes: int | None = None


@contextmanager
def watched_step(training: TrainingStep) -> Iterator[Watched]:
    """Watch a whole step, from before its gradients to after its update; the optimizer's state is there already."""
    found = Watched()
    before = bytes_of(
        [*training.model.parameters(), *training.model.buffers(), *_states(training), *_quantisation(training)]
    )
    with allocator_changes() as changes:
        yield found
    found.peak_bytes = before + peak_over(changes)


def bytes_of(tensors: list[torch.Tensor]) -> int:
    """Of their storages, shared ones once."""
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())


@contextmanager
def allocator_changes() -> Iterator[list[int]]:
    """Every change of the allocator's bytes, by this thread and in time; the list is filled when this is left."""
    changes: list[int] = []
    shapes, memory, stack, flops, modules = False, True, False, False, False
    settings = ProfilerConfig(ProfilerState.CPU, shapes, memory, stack, flops, modules, _ExperimentalConfig())
    _enable_profiler_legacy(settings)
    try:
        yield changes
    finally:
        told = _disable_profiler_legacy()
    changes += [event.cpu_memory_usage() for events in told for event in events if event.kind() == "memory_alloc"]


def peak_over(changes: list[int]) -> int:
    """The most bytes above where the changes began."""
    return max(0, int(np.cumsum(changes).max(initial=0)))


def _states(training: TrainingStep) -> list[torch.Tensor]:
    kept = training.optimizer.state.values()
    return [value for state in kept for value in state.values() if isinstance(value, torch.Tensor)]


def _quantisation(training: TrainingStep) -> list[torch.Tensor]:
    """The tensors beside 4-bit weights with which bitsandbytes reads them."""
    states = [state for p in training.model.parameters() if (state := getattr(p, "quant_state", None)) is not None]
    found = [t for state in states for t in (state.absmax, state.code, state.offset)]
    found += [t for state in states if state.state2 is not None for t in (state.state2.absmax, state.state2.code)]
    return [tensor for tensor in found if isinstance(tensor, torch.Tensor)]
