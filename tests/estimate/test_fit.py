from dataclasses import replace

import pytest

from llm_testing.config.resolve import resolve
from llm_testing.estimate.budget import GIB, card_of
from llm_testing.estimate.fit import Search
from tests.estimate.parts import asked, config


def budget_of(num_bytes):
    card = card_of(16)
    return replace(card, free_bytes=int(num_bytes) + card.context_bytes)


def needs(estimator, options):
    return estimator.estimate(asked(options, card_of(80)), card_of(80)).reserved_bytes


def search(estimator, options, budget, **settings):
    return Search(estimator, options, lambda config: asked(config, budget), budget, **settings)


@pytest.mark.proof
def test_every_way_keeps_model_context_and_effective_batch_and_fits(estimator):
    options = config(n_layer=4, batch_size=12, context_length=128)
    budget = budget_of(0.7 * needs(estimator, options))
    ways = search(estimator, options, budget).best()
    assert len(ways) == 3
    for way in ways:
        assert way.estimate.verdict == "fits"
        assert way.changes
        assert way.config.batch_size * way.config.grad_accum_steps == 12
        assert way.config.model_dump() == options.model_dump() | way.changes
        assert resolve(way.config).shape == resolve(options).shape
    speeds = [way.relative_speed for way in ways]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[0] == 1


@pytest.mark.proof
def test_what_changes_the_result_comes_only_where_nothing_else_helps(estimator):
    options = config(n_layer=4, n_embd=256, batch_size=1, context_length=16)
    # Weights, gradients and states alone are too many.
    ways = search(estimator, options, budget_of(0.8 * needs(estimator, options))).best()
    assert ways
    assert all("8bit" in way.config.optimizer for way in ways)


@pytest.mark.proof
def test_there_may_be_no_way(estimator):
    options = config(n_layer=4)
    assert search(estimator, options, budget_of(2**20)).best() == []


def test_a_search_can_be_cancelled(estimator):
    assert search(estimator, config(), card_of(16), cancelled=lambda: True).best() == []


def test_the_largest_batch_fits_and_one_more_does_not(estimator):
    options = config(n_layer=4)
    budget = budget_of(GIB // 4)
    found = search(estimator, options, budget).largest("batch_size")
    assert found.estimate.verdict == "fits"
    more = replace_option(options, batch_size=found.changes["batch_size"] + 1)
    assert estimator.estimate(asked(more, budget), budget).verdict != "fits"


def replace_option(options, **values):
    return type(options).build(options.model_dump() | values)


@pytest.mark.proof
def test_the_largest_context_and_model(estimator):
    options = config(attention_impl="sdpa", precision="bf16", batch_size=1)
    context = search(estimator, options, card_of(8)).largest("context_length")
    assert context.changes["context_length"] >= 1024
    size = search(estimator, options, card_of(8)).largest("config_name")
    assert size.changes["config_name"] in ("large", "xlarge")
    assert search(estimator, options, budget_of(2**20)).largest("context_length") is None
    with pytest.raises(ValueError, match="ask for context_length, config_name, batch_size"):
        search(estimator, options, card_of(8)).largest("dropout")
