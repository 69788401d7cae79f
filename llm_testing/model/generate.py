"""Continuing a text with a model: one token at a time, from a generator of its own.

The global random state is never touched, so sampling between training steps does not change the training.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_testing.model.gpt import GPT


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


def generate(model: GPT, prompt: list[int], sampling: Sampling, end_id: int | None = None) -> Iterator[int]:
    """Yield new tokens after the prompt until max_tokens or the end token.

    The model's mode is restored between tokens, so it may be the one that is being trained. Each token is computed from
    the last context_length tokens anew: simple, and quick enough for the lengths that are sampled here.

    Args:
        prompt: token ids, at least one.
    """
    device = model.token_embedding.weight.device
    random = torch.Generator().manual_seed(sampling.seed)
    tokens = list(prompt)
    for _ in range(sampling.max_tokens):
        seen_BT = torch.tensor([tokens[-model.shape.context_length :]], device=device)
        was_training = model.training
        model.eval()
        with torch.no_grad():
            logits_V = model.head(model.hidden(seen_BT)[:, -1]).float().flatten().cpu()
        model.train(was_training)
        token = draw(logits_V, sampling, random)
        if token == end_id:
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
