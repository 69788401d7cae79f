"""A few real training steps on made-up tokens, to see what one takes in memory."""

import gc
from typing import Any

import numpy as np
import torch
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import Resolved
from llm_testing.model.weights import to_device
from llm_testing.train.memory import free_memory, measured_peaks
from llm_testing.train.optim import build_optimizer
from llm_testing.train.session import fresh_model
from llm_testing.train.step import TrainingStep

FIRST_STEPS = 2
"""Steps before the one that is measured: the optimizer makes its state, fp16 may skip one."""


def probe(config: PretrainConfig, resolved: Resolved, device: torch.device) -> dict[str, int]:
    """Run three steps; the most bytes of the last: allocated_bytes, on CUDA reserved_bytes too.

    On the CPU, which keeps no count, torch's profiler reports every change of its allocator.
    """
    try:
        return _probe(config, resolved, device)
    finally:
        free_memory(device)


def _probe(config: PretrainConfig, resolved: Resolved, device: torch.device) -> dict[str, int]:
    model = fresh_model(config, resolved)
    model = to_device(model, device).train()
    training = TrainingStep(model, build_optimizer(model, config), config, device)
    size = (config.batch_size, resolved.window)

    def step(number: int) -> None:
        training.begin()
        for micro in range(config.grad_accum_steps):
            x_BT, y_BT = (torch.from_numpy(np.zeros(size, np.int64)).to(device) for _ in range(2))
            training.micro_step(x_BT, y_BT, x_BT.numel() * config.grad_accum_steps, number, micro)
        training.update(0.0)

    for number in range(FIRST_STEPS):
        step(number)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step(FIRST_STEPS)
        return measured_peaks(device)
    states = [v for kept in training.optimizer.state.values() for v in kept.values() if isinstance(v, torch.Tensor)]
    before = bytes_of([*model.parameters(), *model.buffers(), *states])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step(FIRST_STEPS)
    return {"allocated_bytes": before + max(0, int(np.cumsum(allocator_changes(seen)).max()))}


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
