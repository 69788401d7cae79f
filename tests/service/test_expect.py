"""What the form foretells: from the corpus's size before it was read, from an earlier run's own speed after that."""

import pytest

from tests.service.parts import TINY, run


def test_before_anything_was_read_the_length_is_a_guess_and_the_time_unknown(lab):
    ahead = lab.preview({**TINY, "corpus": "python-docs", "tokenizer": "bpe", "max_steps": None, "epochs": 2}).expected
    assert ahead.before_reading and ahead.seconds is None and ahead.train_tokens is None
    # 0.9 of 2.3 MB at 3.6 bytes a token, in steps of 32 tokens, twice.
    assert ahead.steps == pytest.approx(2 * 0.9 * 2_300_000 / 3.6 / 32, rel=0.01)
    assert lab.preview({**TINY, "corpus": "/own/text", "max_steps": None}).expected.steps is None


def test_after_a_run_the_same_options_take_as_long_as_it_took(lab):
    result = lab.result(run(lab))
    ahead = lab.preview({**TINY, "max_steps": 60}).expected
    tokens = lab.preview({**TINY, "max_steps": 60}).resolved.total_tokens
    assert not ahead.before_reading and ahead.seen_alike and ahead.train_tokens > 0
    assert ahead.tokens == tokens
    assert ahead.seconds == pytest.approx(tokens * result["elapsed_s"] / result["tokens_seen"])
    wider = lab.preview({**TINY, "n_embd": 32}).expected
    assert not wider.seen_alike and wider.seconds > lab.preview(TINY).expected.seconds


def test_a_checkpoint_is_as_large_as_foretold(lab):
    run_id = run(lab)
    written = lab.details(run_id)["checkpoints"][-1]["bytes"]
    assert lab.preview(TINY).expected.checkpoint_bytes == pytest.approx(written, rel=0.35)
