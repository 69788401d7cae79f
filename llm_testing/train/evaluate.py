"""Held-out loss: in nats a token, and in bits a byte, which tokenizers and vocabularies cannot flatter."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from llm_testing.jobs.progress import Check
from llm_testing.train.step import autocast, loss_sum, on_device


@dataclass(frozen=True)
class Validation:
    """A held-out loss.

    Args:
        loss_nats: mean over num_tokens targets.
        bits_per_byte: the same loss spread over the UTF-8 bytes that the targets stand for; None where there are none.
        num_tokens: targets looked at.
    """

    loss_nats: float
    bits_per_byte: float | None
    num_tokens: int


@torch.no_grad()
def validate(
    model: nn.Module,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    token_bytes_V: np.ndarray,
    precision: str,
    device: torch.device,
    check: Check,
) -> Validation:
    """Mean loss of the model, in evaluation mode, over batches of inputs and targets.

    Args:
        token_bytes_V: UTF-8 bytes each token stands for.
        check: asked before each batch.
    """
    was_training = model.training
    model.eval()
    try:
        sums, num_tokens, num_bytes = [], 0, 0
        for x, y in batches:
            check()
            with autocast(device, precision):
                sums.append(loss_sum(model, *on_device(x, y, device)).double())
            targets = y[y >= 0]
            num_tokens += targets.size
            num_bytes += int(token_bytes_V[targets].sum())
    finally:
        model.train(was_training)
    nats = float(torch.stack(sums).sum())
    bits = nats / math.log(2) / num_bytes if num_bytes else None
    return Validation(nats / num_tokens, bits, num_tokens)
