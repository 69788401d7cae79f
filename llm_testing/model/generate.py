"""Continuing a text with a model: one token at a time, from a generator of its own.

The global random state is never touched, so sampling between training steps does not change the training.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor


class Writes(Protocol):
    """A model that can continue a text: our own GPT, or an open model."""

    training: bool

    def eval(self) -> Self: ...

    def train(self, mode: bool = True) -> Self: ...

    def logits_after(self, tokens: list[int], memory: dict) -> Tensor:
        """Scores (V,) of the next token; memory is the caller's, for what need not be computed twice."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    Args:
        temperature: 0 always takes the likeliest; higher is more surprising.
        top_k: choose among the k likeliest only; None for all.
        top_p: choose among the likeliest that together have this probability; None for all.
        seed: the same seed gives the same text.
    """

    max_tokens: int = 64
    temperature: float = 0.8
    top_k: int | None = 50
    top_p: float | None = None
    seed: int = 0


def generate(
    model: Writes, prompt: list[int], sampling: Sampling, end_id: int | Collection[int] | None = None
) -> Iterator[int]:
    """Yield new tokens after the prompt until max_tokens or an end token.

    The model's mode is restored between tokens, so it may be the one that is being trained.

    Args:
        prompt: token ids, at least one.
    """
    ends = end_id if isinstance(end_id, Collection) else (end_id,)
    memory: dict = {}
    random = torch.Generator().manual_seed(sampling.seed)
    tokens = list(prompt)
    for _ in range(sampling.max_tokens):
        was_training = model.training
        model.eval()
        with torch.no_grad():
            logits_V = model.logits_after(tokens, memory).float().cpu()
        model.train(was_training)
        token = draw(logits_V, sampling, random)
        if token in ends:
            return
        tokens.append(token)
        yield token


def draw(logits_V: Tensor, sampling: Sampling, random: torch.Generator) -> int:
    """One token from logits, on the CPU."""
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    logits_V = logits_V / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < logits_V.numel():
        smallest_kept = logits_V.topk(sampling.top_k).values[-1]
        logits_V = logits_V.masked_fill(logits_V < smallest_kept, float("-inf"))
    probabilities_V = logits_V.softmax(dim=-1)
    if sampling.top_p is not None and sampling.top_p < 1:
        sorted_V, order_V = probabilities_V.sort(descending=True)
        # The first token past the limit is kept too, so at least one always is.
        beyond_V = sorted_V.cumsum(0) - sorted_V > sampling.top_p
        probabilities_V = probabilities_V.masked_fill(beyond_V.scatter(0, order_V, beyond_V), 0.0)
    return int(torch.multinomial(probabilities_V, 1, generator=random))
