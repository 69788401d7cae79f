"""What follows from a config and its data: the shape, the length of the run, the counts to show before Start."""

from dataclasses import dataclass
from math import ceil

from llm_testing.config.facts import DataFacts
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.shapes import SIZES, Shape

_VOCAB_BEFORE_READING = {"char": 256, "gpt2": 50_257}


@dataclass(frozen=True)
class Resolved:
    """The run that a config means.

    Args:
        shape: the model; its context is the config's even where the text is shorter.
        num_parameters: trainable numbers, shared ones once.
        effective_batch: sequences an update.
        window: tokens a training sequence; shorter than the context only where the whole split is.
        windows_per_epoch, steps_per_epoch, total_steps, total_tokens: None before the corpus was read.
        before_reading: the vocabulary is a guess and lengths are unknown.
        warnings: sentences to show before Start.
    """

    shape: Shape
    num_parameters: int
    effective_batch: int
    tokens_per_step: int
    window: int
    windows_per_epoch: int | None
    steps_per_epoch: int | None
    total_steps: int | None
    total_tokens: int | None
    before_reading: bool
    warnings: tuple[str, ...]


def resolve(config: PretrainConfig, facts: DataFacts | None = None) -> Resolved:
    """Say what a config means for given data, or, with no facts, as much as can be said before reading the corpus."""
    vocab_size = facts.vocab_size if facts else _VOCAB_BEFORE_READING.get(config.tokenizer, config.vocab_size)
    shape = shape_of(config, vocab_size)
    batch = config.batch_size * config.grad_accum_steps
    window, windows, steps, total, tokens = shape.context_length, None, None, config.max_steps, None
    warnings = []
    if facts:
        pairs = facts.train_tokens - 1
        window = min(window, pairs)
        windows = pairs // window
        steps = ceil(windows / batch)
        total = config.max_steps or config.epochs * steps
        tokens = tokens_after(total, windows, batch, window)
        warnings = _warnings(config, facts, window, shape.context_length, total)
    return Resolved(
        shape=shape,
        num_parameters=shape.num_parameters,
        effective_batch=batch,
        tokens_per_step=batch * window,
        window=window,
        windows_per_epoch=windows,
        steps_per_epoch=steps,
        total_steps=total,
        total_tokens=tokens,
        before_reading=facts is None,
        warnings=tuple(warnings),
    )


def shape_of(config: PretrainConfig, vocab_size: int) -> Shape:
    """The model's dimensions, with a named size's own values where the config leaves them open."""
    size = SIZES["nano" if config.config_name == "custom" else config.config_name]
    width, heads = config.width_and_heads()
    return Shape(
        n_layer=config.n_layer or size.n_layer,
        n_head=heads,
        n_embd=width,
        context_length=config.context_length or size.context_length,
        vocab_size=vocab_size,
        tie_embeddings=config.tie_embeddings,
        qkv_bias=config.qkv_bias,
    )


def tokens_after(step: int, windows_per_epoch: int, effective_batch: int, window: int) -> int:
    """Tokens trained on after `step` updates; an epoch's last update may hold fewer sequences."""
    steps_per_epoch = ceil(windows_per_epoch / effective_batch)
    epochs, rest = divmod(step, steps_per_epoch)
    return (epochs * windows_per_epoch + rest * effective_batch) * window


def _warnings(config: PretrainConfig, facts: DataFacts, window: int, context: int, total: int) -> list[str]:
    found = list(facts.warnings)
    if window < context:
        found.append(
            f"The training text has {facts.train_tokens:,} tokens, fewer than the context of {context:,}; "
            f"it is read as one window of {window:,}."
        )
    if facts.val_tokens - 1 < context:
        found.append(
            f"The validation text has {facts.val_tokens:,} tokens, fewer than the context of {context:,}; "
            f"it is read as one window of {facts.val_tokens - 1:,}."
        )
    if config.warmup_steps >= total:
        found.append(
            f"The warm-up of {config.warmup_steps:,} steps is as long as the whole run of {total:,}; "
            "the learning rate never reaches its peak."
        )
    return found
