import json

import pytest

from llm_testing.config.resolve import resolve
from llm_testing.estimate.budget import GIB, card_named, card_of, main_memory
from llm_testing.estimate.estimator import Estimator
from llm_testing.estimate.result import CONTRACT
from tests.estimate.parts import asked, config


def gpt2(**values):
    return config(config_name="medium", n_layer=None, n_head=None, n_embd=None, context_length=None, **values)


def pretrain(estimator, options, budget, quick=False):
    return estimator.estimate(asked(options, budget), budget, quick)


def test_an_estimate_has_the_contracts_keys_and_adds_up(estimator):
    options = gpt2(attention_impl="sdpa", precision="bf16", dropout=0.0)
    estimate = pretrain(estimator, options, card_of(16))
    told = json.loads(json.dumps(estimate.as_dict()))
    assert list(told)[: len(CONTRACT)] == list(CONTRACT)
    assert sum(told["terms"].values()) == told["allocated_bytes"]
    assert told["allocated_bytes"] <= told["minimum_bytes"] <= told["reserved_bytes"]
    assert told["num_parameters"] == told["num_trainable"] == resolve(options).num_parameters
    assert told["verdict"] == "fits"
    assert told["certain"]


@pytest.mark.parametrize(("batch_size", "verdict"), [(1, "fits"), (256, "exceeds")])
def test_the_verdict_follows_the_card(estimator, batch_size, verdict):
    options = gpt2(batch_size=batch_size)
    assert pretrain(estimator, options, card_of(16)).verdict == verdict


def test_there_is_a_card_on_which_it_is_tight(estimator):
    options = gpt2(batch_size=8, attention_impl="sdpa")
    found = pretrain(estimator, options, card_of(80))
    assert found.minimum_bytes < found.reserved_bytes
    between = (found.minimum_bytes + found.reserved_bytes) / 2 + found.context_bytes
    assert pretrain(estimator, options, card_of(between / GIB / 0.97)).verdict == "tight"


def test_a_quick_estimate_leaves_reserved_bytes_open_and_is_likely_only(estimator):
    options = gpt2()
    quick = pretrain(estimator, options, card_of(80), quick=True)
    assert (quick.reserved_bytes, quick.minimum_bytes, quick.certain) == (None, None, False)
    too_much = pretrain(estimator, gpt2(batch_size=512), card_of(8), quick=True)
    assert (too_much.verdict, too_much.certain) == ("exceeds", True)


def test_on_the_cpu_nothing_is_reserved_beyond_what_is_allocated(estimator):
    options = config()
    estimate = pretrain(estimator, options, main_memory(8 * GIB))
    assert estimate.reserved_bytes == estimate.minimum_bytes == estimate.allocated_bytes
    assert (estimate.verdict, estimate.context_bytes, estimate.certain) == ("fits", 0, True)


def test_hopper_keeps_larger_workspaces(estimator):
    options = config()
    a100, h100 = (
        pretrain(estimator, options, card_named(name), quick=True).allocated_bytes for name in ("A100 80 GB", "H100")
    )
    assert h100 - a100 == 2 * (32 * 2**20 - 8320 * 1024)


class CountingWorker:
    """Passes jobs on, and counts them."""

    def __init__(self, worker):
        self.worker, self.jobs = worker, 0

    def trace(self, job, background=False):
        self.jobs += 1
        return self.worker.trace(job, background)

    def close(self):
        """The worker is another's."""


def test_batch_depth_and_accumulation_ask_for_no_new_trace(worker):
    counting = CountingWorker(worker)
    estimator = Estimator(counting)
    base = {"config_name": "custom", "context_length": 64, "n_embd": 128, "n_head": 4}
    pretrain(estimator, config(n_layer=6, grad_accum_steps=2, **base), card_of(16), quick=True)
    before = counting.jobs
    for values in ({"batch_size": 9}, {"n_layer": 24}, {"grad_accum_steps": 16}, {"grad_accum_steps": 1}):
        pretrain(estimator, config(**{"n_layer": 6, **base, **values}), card_of(16), quick=True)
    assert counting.jobs == before == 2


@pytest.mark.parametrize(
    "values", [{"learning_rate": 1e-2}, {"seed": 3}, {"corpus": "tiny"}, {"epochs": 2}, {"log_every": 5}]
)
def test_options_that_need_no_memory_need_no_trace(worker, values):
    counting = CountingWorker(worker)
    estimator = Estimator(counting)
    pretrain(estimator, config(), card_of(16), quick=True)
    before = counting.jobs
    pretrain(estimator, config(**values), card_of(16), quick=True)
    assert counting.jobs == before


@pytest.mark.parametrize("values", [{"dropout": 0.2}, {"grad_clip": 0.0}, {"precision": "bf16"}, {"n_embd": 128}])
def test_options_that_do_are_traced_anew(worker, values):
    counting = CountingWorker(worker)
    estimator = Estimator(counting)
    pretrain(estimator, config(), card_of(16), quick=True)
    before = counting.jobs
    pretrain(estimator, config(**values), card_of(16), quick=True)
    assert counting.jobs > before
