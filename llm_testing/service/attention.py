"""Attention for learning: what a checkpoint looks at in a text, and what it writes after one."""

from dataclasses import dataclass

from llm_testing.data.tokenizers import Tokenizer
from llm_testing.errors import ConfigError, Problem
from llm_testing.model.attention_view import attention_of
from llm_testing.model.gpt import GPT

MOST_TOKENS = 1024
"""A map of more tokens has more cells than a screen has dots."""
MOST_SHOWN_TOKENS = 128
"""All heads of a layer at once are for looking: more tokens than this no label can name."""


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


@dataclass(frozen=True)
class HeadsMap:
    """What every head of a layer looks at.

    Args:
        weights: for each head the rows of `AttentionMap.attention_weights`, four digits each.
        step: the optimizer step of the weights.
        left_out: tokens at the text's end that are not shown, as the model or a screen holds fewer.
    """

    tokens: list[str]
    weights: list[list[list[float]]]
    layer: int
    num_layers: int
    num_heads: int
    checkpoint_id: str
    step: int
    left_out: int


def attention_map(
    model: GPT, tokenizer: Tokenizer, name: str, text: str, layer: int = 0, head: int | None = None
) -> AttentionMap:
    """The real weights of a model for a text.

    Args:
        name: the checkpoint's id.

    Raises:
        ConfigError: naming text, layer or head where there is no such thing.
    """
    tokens = _checked(model, tokenizer.encode(text), layer, head)
    weights_HTT = attention_of(model, tokens, layer)
    weights_TT = weights_HTT.mean(dim=0) if head is None else weights_HTT[head]
    return AttentionMap(
        tokens=[tokenizer.decode([token]) for token in tokens],
        attention_weights=weights_TT.tolist(),
        layer=layer,
        head=head,
        num_layers=model.shape.n_layer,
        num_heads=model.shape.n_head,
        checkpoint_id=name,
    )


def heads_map(model: GPT, tokenizer: Tokenizer, name: str, step: int, text: str, layer: int) -> HeadsMap:
    """The real weights of every head of a layer, for as much of a text as can be looked at.

    Raises:
        ConfigError: as `attention_map`.
    """
    whole = tokenizer.encode(text)
    tokens = _checked(model, whole[: min(MOST_SHOWN_TOKENS, model.shape.context_length)], layer, None)
    weights_HTT = attention_of(model, tokens, layer)
    return HeadsMap(
        tokens=[tokenizer.decode([token]) for token in tokens],
        weights=weights_HTT.double().round(decimals=4).tolist(),
        layer=layer,
        num_layers=model.shape.n_layer,
        num_heads=model.shape.n_head,
        checkpoint_id=name,
        step=step,
        left_out=len(whole) - len(tokens),
    )


def _checked(model: GPT, tokens: list[int], layer: int, head: int | None) -> list[int]:
    """The same tokens, after refusing what there is not."""
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
    return tokens
