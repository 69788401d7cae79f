"""Few traced layers and two batch sizes stand for every depth, batch and accumulation, to the byte."""

import numpy as np
import pytest

from llm_testing.config.resolve import resolve
from llm_testing.estimate.budget import card_of, main_memory
from llm_testing.estimate.depth import NotRepeatable, Repeater, same_steps
from llm_testing.estimate.estimator import batch_pair
from llm_testing.estimate.recording import TERMS
from llm_testing.estimate.step import CUDA_ROUNDING, Family, Step, one_micro
from tests.estimate.parts import asked, config, job

KINDS = {
    "manual": {},
    "sdpa bf16": {"attention_impl": "sdpa", "precision": "bf16", "dropout": 0.0},
    "fp16": {"precision": "fp16"},
    "checkpointing": {"gradient_checkpointing": True, "precision": "bf16", "attention_impl": "sdpa"},
    "tied, biases": {"tie_embeddings": True, "qkv_bias": True},
    "8-bit": {"optimizer": "adamw_8bit"},
    "paged": {"optimizer": "paged_adamw_8bit", "precision": "bf16", "n_embd": 256},
    "memory-efficient": {"attention_impl": "sdpa", "sdpa_kernel": "memory_efficient"},
}


USUAL = {("manual", "cuda"), ("sdpa bf16", "cuda"), ("checkpointing", "cpu"), ("8-bit", "cuda"), ("fp16", "cpu")}


def some_slow(cases, usual):
    """All cases, those that are not among the usual ones marked slow."""
    return [pytest.param(*case, marks=[] if case in usual else [pytest.mark.slow]) for case in cases]


@pytest.mark.parametrize(
    ("kind", "device"),
    some_slow(
        [(k, device) for k in KINDS for device in ("cpu", "cuda") if (k, device) != ("memory-efficient", "cpu")], USUAL
    ),
)
def test_repeated_layers_equal_the_full_trace_to_the_byte(worker, kind, device):
    options = config(**KINDS[kind], grad_accum_steps=2)
    few, more = (worker.trace(job(options, device, num_layers=n, batch_size=b)) for n, b in ((3, 2), (4, 3)))
    full = worker.trace(job(options, device, num_layers=9, batch_size=5))
    step = Family(few, more, (2, 3)).step(9, 5, 2)
    assert same_steps(step.recording, full)
    assert np.array_equal(step.recording.num_bytes, full.num_bytes)
    assert step.peak == Step(full).peak
    assert step.recording.num_parameters == full.num_parameters
    assert step.recording.num_trainable == full.num_trainable


@pytest.mark.parametrize(
    ("kind", "batch_size"),
    some_slow(
        [(k, n) for k in ("manual", "sdpa bf16", "checkpointing") for n in (1, 2, 7, 64)],
        {("manual", 64), ("sdpa bf16", 1), ("checkpointing", 7)},
    ),
)
def test_a_batch_of_another_size_equals_its_own_trace(worker, estimator, kind, batch_size):
    options = config(**KINDS[kind], batch_size=batch_size, n_layer=5)
    step, method = estimator.step(asked(options, card_of(16)), card_of(16))
    full = worker.trace(job(options, "cuda", vocab=resolve(options).shape.vocab_size))
    assert method == "repeated"
    assert step.peak.num_bytes == Step(full, CUDA_ROUNDING, step.workspaces).peak.num_bytes


@pytest.mark.parametrize(
    ("kind", "n_layer"),
    some_slow([(k, n) for k in ("manual", "8-bit") for n in (1, 2, 3)], {("manual", 1), ("8-bit", 2)}),
)
def test_shallow_models_are_traced_as_they_are(worker, estimator, kind, n_layer):
    options = config(**KINDS[kind], n_layer=n_layer)
    step, _ = estimator.step(asked(options, main_memory(10**10)), main_memory(10**10))
    full = worker.trace(job(options, vocab=resolve(options).shape.vocab_size))
    assert step.peak.num_bytes == Step(full).peak.num_bytes


@pytest.mark.parametrize(("kind",), some_slow([(k,) for k in KINDS], {("manual",), ("sdpa bf16",), ("8-bit",)}))
def test_dropping_the_second_micro_batch_equals_a_trace_without_accumulation(worker, kind):
    options = config(**KINDS[kind])
    one, two = (worker.trace(job(options, "cuda", num_micro=n)) for n in (1, 2))
    assert Step(one_micro(two), CUDA_ROUNDING).peak == Step(one, CUDA_ROUNDING).peak


def test_a_third_micro_batch_needs_what_the_second_does(worker):
    two, three = (worker.trace(job(config(), "cuda", num_micro=n)) for n in (2, 3))
    assert Step(two).peak.num_bytes == Step(three).peak.num_bytes


@pytest.mark.parametrize(
    ("batch_size", "window", "pair"),
    [(1, 64, (2, 3)), (48, 64, (2, 3)), (49, 64, (49, 50)), (3, 1024, (2, 3)), (4, 1024, (4, 5)), (1, 2048, (1, 1))],
)
def test_batches_are_traced_on_the_same_side_of_a_kernels_threshold(batch_size, window, pair):
    assert batch_pair(batch_size, window, (3072,)) == pair


@pytest.mark.parametrize(("batch_size", "context_length"), [(6, 512), (7, 512), (2, 2048), (1, 2048)])
def test_both_sides_of_the_threshold_equal_their_own_traces(worker, estimator, batch_size, context_length):
    options = config(batch_size=batch_size, context_length=context_length, attention_impl="sdpa", n_layer=5)
    shape = resolve(options).shape
    step, _ = estimator.step(asked(options, card_of(16)), card_of(16))
    full = worker.trace(job(options, "cuda", vocab=shape.vocab_size))
    assert step.peak.num_bytes == Step(full, CUDA_ROUNDING, step.workspaces).peak.num_bytes


def test_steps_that_differ_in_more_than_depth_and_batch_are_no_family(worker):
    options = config()
    few = worker.trace(job(options, num_layers=3))
    other = worker.trace(job(config(gradient_checkpointing=True), num_layers=4))
    with pytest.raises(NotRepeatable):
        Family(few, other, (4, 4))
    with pytest.raises(NotRepeatable, match="cannot stand for 2"):
        Repeater(few).repeat(2)


def test_the_timeline_keeps_the_peak_and_adds_up(estimator):
    options = config(n_layer=6)
    estimate = estimator.estimate(asked(options, card_of(16)), card_of(16), quick=True)
    totals = [sum(point["bytes"].values()) for point in estimate.timeline]
    assert max(totals) == estimate.allocated_bytes == sum(estimate.terms.values())
    assert set(estimate.terms) == set(TERMS)
    stages = list(dict.fromkeys(point["stage"] for point in estimate.timeline))
    assert stages.index("forward") < stages.index("head") < stages.index("backward") < stages.index("update")
