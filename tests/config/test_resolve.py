"""What follows from a config and its data, against counts made by hand."""

import pytest

from llm_testing.config.facts import DataFacts
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import resolve, tokens_after


def facts(train_tokens: int, val_tokens: int = 500, vocab_size: int = 65) -> DataFacts:
    return DataFacts(
        corpus="c", val_corpus=None, tokenizer="char", vocab_size=vocab_size,
        train_tokens=train_tokens, val_tokens=val_tokens, train_bytes=train_tokens, val_bytes=val_tokens,
        train_documents=1, val_documents=1, fingerprint="f", tokenizer_trained_bytes=None, python=None,
    )  # fmt: skip


def test_nano_with_the_gpt2_vocabulary_has_the_hand_count():
    width = 256
    block = (3 * width * width) + (width * width + width) + (8 * width * width + 5 * width) + 4 * width
    by_hand = (50_257 + 256) * width + 6 * block + 2 * width + 50_257 * width
    assert by_hand == 30_531_584
    assert resolve(PretrainConfig()).num_parameters == by_hand


@pytest.mark.parametrize(("tokenizer", "vocab_size"), [("char", 256), ("bpe", 4096), ("gpt2", 50_257)])
def test_before_the_corpus_is_read_the_vocabulary_is_a_stated_guess(tokenizer: str, vocab_size: int):
    resolved = resolve(PretrainConfig(tokenizer=tokenizer))
    assert resolved.before_reading and resolved.shape.vocab_size == vocab_size
    assert resolved.total_tokens is None


def test_tying_removes_vocabulary_times_width():
    untied, tied = (resolve(PretrainConfig(tie_embeddings=t)).num_parameters for t in (False, True))
    assert untied - tied == 50_257 * 256


def test_query_key_value_biases_add_three_widths_a_block():
    without, with_bias = (resolve(PretrainConfig(qkv_bias=b)).num_parameters for b in (False, True))
    assert with_bias - without == 6 * 3 * 256


def test_an_epoch_is_one_pass_whose_last_step_may_be_short():
    # 1,001 tokens are 1,000 pairs: 15 windows of 64, in steps of 2 x 2 windows: 4 steps, the last with 3 windows.
    config = PretrainConfig(context_length=64, batch_size=2, grad_accum_steps=2, epochs=3)
    resolved = resolve(config, facts(1001))
    assert (resolved.effective_batch, resolved.tokens_per_step) == (4, 256)
    assert (resolved.windows_per_epoch, resolved.steps_per_epoch, resolved.total_steps) == (15, 4, 12)
    assert resolved.total_tokens == 3 * 15 * 64


def test_max_steps_wins_over_epochs():
    resolved = resolve(PretrainConfig(context_length=64, batch_size=4, max_steps=5, epochs=3), facts(1001))
    assert resolved.total_steps == 5
    assert resolved.total_tokens == (15 + 4) * 64


@pytest.mark.parametrize(("step", "windows"), [(0, 0), (1, 4), (3, 12), (4, 15), (5, 19), (8, 30)])
def test_tokens_after_a_step_count_the_short_one(step: int, windows: int):
    assert tokens_after(step, windows_per_epoch=15, effective_batch=4, window=64) == windows * 64


def test_a_text_shorter_than_a_window_is_one_shorter_window_and_says_so():
    resolved = resolve(PretrainConfig(context_length=64), facts(40, val_tokens=10))
    assert (resolved.window, resolved.windows_per_epoch, resolved.shape.context_length) == (39, 1, 64)
    assert resolved.warnings == (
        "The training text has 40 tokens, fewer than the context of 64; it is read as one window of 39.",
        "The validation text has 10 tokens, fewer than the context of 64; it is read as one window of 9.",
        "The warm-up of 100 steps is as long as the whole run of 10; the learning rate never reaches its peak.",
    )


def test_a_custom_model_starts_from_nano():
    shape = resolve(PretrainConfig(config_name="custom", n_layer=2)).shape
    assert (shape.n_layer, shape.n_head, shape.n_embd, shape.context_length) == (2, 8, 256, 256)
