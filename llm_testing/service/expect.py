"""What a draft will probably cost, from what earlier runs here really took."""

from math import ceil

from llm_testing.config.facts import DataFacts
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import Resolved
from llm_testing.data.corpora import find_corpus
from llm_testing.service.records import EXAMPLE
from llm_testing.service.views import Expected
from llm_testing.store.runs import RunStore

# Bytes of text that a token stands for, about: measured on the built-in English (4,096 entries) and GPT-2's own.
_BYTES_A_TOKEN = {"bpe": 3.6, "char": 1.0, "gpt2": 4.2}
_SHARE_TRAINED = 0.9
_WEIGHT_BYTES = 4
_STATE_BYTES = {"adamw": 8, "adamw_8bit": 2, "paged_adamw_8bit": 2}
_SAME_COST = (
    "config_name", "n_layer", "n_head", "n_embd", "context_length", "batch_size", "grad_accum_steps", "precision",
    "attention_impl", "gradient_checkpointing", "optimizer", "device", "threads",
)  # fmt: skip
"""Options that decide how long a token takes."""


def expected(config: PretrainConfig, resolved: Resolved, store: RunStore, facts: DataFacts | None) -> Expected:
    """Length, time and disk of a run; `about` says which are guesses."""
    steps, tokens = resolved.total_steps, resolved.total_tokens
    if steps is None:
        steps = _guessed_steps(config, resolved)
    if tokens is None and steps is not None:
        tokens = steps * resolved.tokens_per_step
    s_per_token, alike = _seconds_a_token(config, resolved.num_parameters, store)
    return Expected(
        steps=steps,
        tokens=tokens,
        seconds=tokens * s_per_token if tokens and s_per_token else None,
        seen_alike=alike,
        before_reading=resolved.total_tokens is None,
        checkpoint_bytes=resolved.num_parameters * (_WEIGHT_BYTES + _STATE_BYTES.get(config.optimizer, 8)),
        train_tokens=facts.train_tokens if facts else None,
    )


def _guessed_steps(config: PretrainConfig, resolved: Resolved) -> int | None:
    """From the size of a named corpus; nobody knows how long another text is before it is read."""
    corpus = find_corpus(config.corpus)
    if corpus is None:
        return None
    share = 1.0 if config.val_corpus or corpus.pairs_with else _SHARE_TRAINED
    tokens = corpus.approx_bytes * share / _BYTES_A_TOKEN[config.tokenizer]
    return config.epochs * max(1, ceil(tokens / resolved.tokens_per_step))


def _seconds_a_token(config: PretrainConfig, num_parameters: int, store: RunStore) -> tuple[float | None, bool]:
    """From the newest run here that computed the same way, else from the nearest in size; and which of the two.

    The examples that came with the program were trained on another machine.
    """
    nearest: tuple[float, float] | None = None
    for row in store.rows():
        record = row.record or {}
        summary, then = record.get("summary") or {}, record.get("config") or {}
        seconds, tokens = summary.get("elapsed_s"), summary.get("tokens_seen")
        size = (record.get("parameters") or {}).get("total")
        if (
            row.damaged
            or record.get("kind") != "pretrain"
            or EXAMPLE in record.get("tags", ())
            or not all(isinstance(n, int | float) and n > 0 for n in (seconds, tokens, size))
        ):
            continue
        if then.get("device") != config.device:
            continue
        if size == num_parameters and all(then.get(name) == getattr(config, name) for name in _SAME_COST):
            return seconds / tokens, True
        ratio = num_parameters / size
        if nearest is None or abs(1 - ratio) < abs(1 - nearest[0]):
            nearest = (ratio, seconds / tokens * ratio)
    return (nearest[1], False) if nearest else (None, False)
