"""Attention for learning: what a checkpoint looks at in a text, and what it writes after one."""

from dataclasses import dataclass

from llm_testing.errors import ConfigError, Problem
from llm_testing.model.attention_view import attention_of
from llm_testing.model.generate import Sampling
from llm_testing.service.reader import Reader
from llm_testing.store.ids import checkpoint_id

MOST_TOKENS = 1024
"""A map of more tokens has more cells than a screen has dots."""


@dataclass(frozen=True)
class AttentionMap:
    """Which earlier tokens each token of a text looks at.

    Args:
        tokens: the text's tokens as text.
        attention_weights: row t holds how much token t looks at tokens 0..t; each row sums to 1.
        head: None is the mean over the heads.
    """

    tokens: list[str]
    attention_weights: list[list[float]]
    layer: int
    head: int | None
    num_layers: int
    num_heads: int
    checkpoint_id: str


@dataclass(frozen=True)
class Completion:
    """A prompt and what a checkpoint wrote after it; text begins with the prompt."""

    text: str
    tokens_generated: int
    prompt: str
    checkpoint_id: str


def attention_map(
    reader: Reader, run_id: str, step: int, text: str, layer: int = 0, head: int | None = None
) -> AttentionMap:
    """The real weights of a checkpoint for a text.

    Raises:
        ConfigError: naming text, layer or head where there is no such thing.
    """
    model, tokenizer = reader.open_model(run_id, step)
    tokens = tokenizer.encode(text)
    shape, problems = model.shape, []
    most = min(MOST_TOKENS, shape.context_length)
    if not 1 <= len(tokens) <= most:
        problems.append(Problem("text", f"The text must have 1 to {most:,} tokens; received {len(tokens):,}."))
    if layer >= shape.n_layer:
        problems.append(Problem("layer", f"The model has the layers 0 to {shape.n_layer - 1}; received {layer}."))
    if head is not None and head >= shape.n_head:
        problems.append(Problem("head", f"The model has the heads 0 to {shape.n_head - 1}; received {head}."))
    if problems:
        raise ConfigError(problems)
    weights_HTT = attention_of(model, tokens, layer)
    weights_TT = weights_HTT.mean(dim=0) if head is None else weights_HTT[head]
    return AttentionMap(
        tokens=[tokenizer.decode([token]) for token in tokens],
        attention_weights=weights_TT.tolist(),
        layer=layer,
        head=head,
        num_layers=shape.n_layer,
        num_heads=shape.n_head,
        checkpoint_id=checkpoint_id(run_id, step),
    )


def complete(reader: Reader, run_id: str, step: int, prompt: str, sampling: Sampling) -> Completion:
    """A whole continuation; `Reader.generate` gives one piece by piece."""
    num_tokens = 0

    def count() -> None:
        nonlocal num_tokens
        num_tokens += 1

    text = "".join(reader.generate(run_id, step, prompt, sampling, on_token=count))
    return Completion(prompt + text, num_tokens, prompt, checkpoint_id(run_id, step))
