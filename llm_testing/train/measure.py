"""The most bytes of one training step on the CPU, which keeps no count: torch's profiler tells every change.

Watching costs some hundredths of a second and slows a step by a tenth, so one step of a session is watched, not all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile

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
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        yield found
    found.peak_bytes = before + max(0, int(np.cumsum(allocator_changes(seen)).max()))


def bytes_of(tensors: list[torch.Tensor]) -> int:
    """Of their storages, shared ones once."""
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())


def allocator_changes(seen: profile) -> np.ndarray:
    """Every change of the allocator's bytes during a profile, in time."""
    changes: list[tuple[int, int]] = []

    def collect(event: Any) -> None:
        if event.tag == _EventType.Allocation:
            changes.append((event.start_time_ns, event.extra_fields.alloc_size))
        for child in event.children:
            collect(child)

    for root in seen.profiler.kineto_results.experimental_event_tree():
        collect(root)
    # Sorting by time alone keeps the order of events in the same nanosecond.
    return np.array([size for _, size in sorted(changes, key=lambda change: change[0])] or [0])


def _states(training: TrainingStep) -> list[torch.Tensor]:
    kept = training.optimizer.state.values()
    return [value for state in kept for value in state.values() if isinstance(value, torch.Tensor)]


def _quantisation(training: TrainingStep) -> list[torch.Tensor]:
    """The tensors beside 4-bit weights with which bitsandbytes reads them."""
    states = [state for p in training.model.parameters() if (state := getattr(p, "quant_state", None)) is not None]
    found = [t for state in states for t in (state.absmax, state.code, state.offset)]
    found += [t for state in states if state.state2 is not None for t in (state.state2.absmax, state.state2.code)]
    return [tensor for tensor in found if isinstance(tensor, torch.Tensor)]
