"""A few real training steps on made-up tokens, to see what one takes in memory."""

import gc

import numpy as np
import torch
from torch import nn

from llm_testing.config.recipe import Recipe
from llm_testing.train.measure import watched_step
from llm_testing.train.memory import free_memory, measured_peaks
from llm_testing.train.optim import build_optimizer
from llm_testing.train.step import TrainingStep

FIRST_STEPS = 2
"""Steps before the one that is measured: the optimizer makes its state, fp16 may skip one."""


def probe(model: nn.Module, config: Recipe, window: int, packed: bool, device: torch.device) -> dict[str, int]:
    """Run three steps; the most bytes of the last: allocated_bytes, on CUDA reserved_bytes too.

    Args:
        model: as it trains; it is thrown away.
        window: tokens a sequence.
        packed: sequences hold several examples, told apart by their positions.
    """
    try:
        return _probe(model, config, window, packed, device)
    finally:
        del model
        free_memory(device)


def _probe(model: nn.Module, config: Recipe, window: int, packed: bool, device: torch.device) -> dict[str, int]:
    model.train()
    training = TrainingStep(model, build_optimizer(model, config), config, device)

    def step(number: int) -> None:
        training.begin()
        for micro in range(config.grad_accum_steps):
            x, y = made_up(config.batch_size, window, packed)
            x, y = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
            training.micro_step(x, y, y.numel() * config.grad_accum_steps, number, micro)
        training.update(0.0)

    for number in range(FIRST_STEPS):
        step(number)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step(FIRST_STEPS)
        return measured_peaks(device)
    with watched_step(training) as watched:
        step(FIRST_STEPS)
    return {"allocated_bytes": watched.peak_bytes}


def made_up(batch_size: int, window: int, packed: bool) -> tuple[np.ndarray, np.ndarray]:
    """A batch of the shapes that training has; packed ones hold two examples a sequence."""
    x, y = (np.zeros((batch_size, window), np.int64) for _ in range(2))
    if not packed:
        return x, y
    half = max(1, window // 2)
    positions = np.broadcast_to(np.concatenate([np.arange(half), np.arange(window - half)]), x.shape)
    return np.stack([x, positions]), y
