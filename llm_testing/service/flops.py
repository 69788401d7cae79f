"""How much arithmetic a run does for a token, from its own shape: what curves over FLOPs are drawn by.

A matrix product costs two operations a weight and token, and its gradients twice that again: 6 for each weight that
takes part in one. Attention adds, in each block, the scores and their use: 2 * 2 * context * width forward, three
times that with the gradients. Norms, softmax and the look-up of embeddings are left out, and what checkpointing
computes again is not counted either, so that two runs of the same model and tokens always have the same figure.

Source: Chowdhery et al. 2022 (PaLM), appendix B, https://arxiv.org/abs/2204.02311
"""

from dataclasses import dataclass

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import shape_of
from llm_testing.errors import ConfigError
from llm_testing.service.records import whole_config


@dataclass(frozen=True)
class Flops:
    """Operations a token of training, and the formula in words."""

    per_token: float
    formula: str


def flops_of(record: dict) -> Flops | None:
    """The arithmetic of a run's training; None where its record does not say what the model is."""
    if record.get("kind") == "finetune":
        return _of_tuning(record)
    vocab_size = record["data"].get("vocab_size")
    if not isinstance(vocab_size, int):
        return None
    try:
        shape = shape_of(PretrainConfig.build(whole_config(record)), vocab_size)
    except ConfigError:
        return None
    weights = shape.n_layer * 12 * shape.n_embd**2 + shape.vocab_size * shape.n_embd
    attention = 12 * shape.n_layer * shape.n_embd * shape.context_length
    return Flops(
        float(6 * weights + attention),
        f"6 * {weights:,} weights of matrix products + 12 * {shape.n_layer} layers * {shape.n_embd} wide * "
        f"{shape.context_length} context, a token (PaLM, appendix B)",
    )


def _of_tuning(record: dict) -> Flops | None:
    """Forward and the gradients passed on take every weight; only trained ones get a gradient of their own."""
    total, trained = (record["parameters"].get(name) for name in ("total", "trainable"))
    if not isinstance(total, int) or not isinstance(trained, int):
        return None
    return Flops(
        float(4 * total + 2 * trained),
        f"4 * {total:,} parameters + 2 * {trained:,} trained ones, a token (PaLM, appendix B, without attention)",
    )
