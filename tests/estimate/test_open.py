"""Open models: the trace against real fine-tuning steps on the CPU, and few layers standing for many."""

import numpy as np
import pytest
import torch

from llm_testing.errors import ConfigError
from llm_testing.estimate.budget import card_of
from llm_testing.estimate.jobs import finetuning_job
from llm_testing.estimate.step import CUDA_ROUNDING, Family, Step
from llm_testing.estimate.trace_open import trace_open
from llm_testing.estimate.worker import TraceFailed
from tests.estimate.open_parts import MODELS, measure_open, open_job, tuning, with_layers_repeated

PLAIN = {"use_gradient_checkpointing": False, "fast_mode": True}
EXACT = [
    ("llama", {"adapter": "lora", **PLAIN}),
    ("llama", {"adapter": "full", "gradient_accumulation": 3}),
    ("qwen2", {"adapter": "full", "fast_mode": True}),
    ("qwen3", {"adapter": "lora", "use_gradient_checkpointing": False}),
    ("mistral", {"adapter": "lora"}),
    ("gemma3", {"adapter": "full"}),
    ("phi3", {"adapter": "lora", "fast_mode": True}),
    ("gpt2", {"adapter": "full", "precision": "fp32"}),
    ("mixtral", {"adapter": "lora", **PLAIN}),
    ("gemma3", {"adapter": "lora", "packing": True}),
    ("llama", {"adapter": "lora", "fast_mode": True, "packing": False}),
]
EXACT_TOO = [
    ("llama", {"adapter": "lora", **PLAIN, "precision": "fp32"}),
    ("llama", {"adapter": "full", **PLAIN}),
    ("llama", {"adapter": "lora", "target_modules": ("q_proj", "v_proj"), "lora_dropout": 0.0, "fast_mode": True}),
    ("qwen2", {"adapter": "lora", "gradient_accumulation": 2}),
    ("qwen3", {"adapter": "full", "precision": "fp32"}),
    ("mistral", {"adapter": "full", **PLAIN}),
    ("gemma3", {"adapter": "lora", **PLAIN}),
    ("phi3", {"adapter": "full", "use_gradient_checkpointing": False}),
    ("gpt2", {"adapter": "lora", "use_gradient_checkpointing": False}),
]
QLORA = [("llama", {}), ("gemma3", {"use_gradient_checkpointing": False, "gradient_accumulation": 2})]
QLORA_TOO = [
    ("llama", {**PLAIN, "precision": "fp32"}),
    ("qwen2", {"fast_mode": True}),
    ("phi3", {"optim": "adamw_8bit"}),
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def off_by(family, options) -> float:
    real = measure_open(family, options).peak_bytes
    return abs(Step(trace_open(open_job(family, options), {})).peak.num_bytes - real) / real


def named(cases):
    return [pytest.param(f, o, id=f"{f} {' '.join(f'{k}={v}' for k, v in o.items())}") for f, o in cases]


@pytest.mark.proof
@pytest.mark.parametrize(("family", "values"), named(EXACT))
def test_the_trace_is_within_a_thousandth_of_the_real_peak(family, values):
    assert off_by(family, tuning(**values)) <= 0.001


@pytest.mark.slow
@pytest.mark.parametrize(("family", "values"), named(EXACT_TOO))
def test_more_of_them_are_too(family, values):
    assert off_by(family, tuning(**values)) <= 0.001


@pytest.mark.slow
def test_trained_experts_are_within_half_a_hundredth():
    """The exception: in its backward pass the CPU's grouped product works expert by expert, with buffers of its own."""
    assert off_by("mixtral", tuning(adapter="full", base_dtype="bf16")) <= 0.005


@pytest.mark.proof
@pytest.mark.parametrize(("family", "values"), named(QLORA))
def test_with_4_bit_weights_it_is_within_a_hundredth(family, values):
    assert off_by(family, tuning(adapter="qlora", **values)) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("family", "values"), named(QLORA_TOO))
def test_with_4_bit_weights_more_of_them_are_too(family, values):
    assert off_by(family, tuning(adapter="qlora", **values)) <= 0.01


REPEATED = [
    pytest.param("llama", {"adapter": "qlora", "gradient_accumulation": 2}, 3, 4, 6, id="llama"),
    # Three kinds of layers in turn, and one left over.
    pytest.param("gemma3", {"adapter": "lora", **PLAIN}, 10, 13, 16, id="gemma3"),
]


@pytest.mark.proof
@pytest.mark.parametrize(("family", "values", "few", "more", "whole"), REPEATED)
def test_repeated_layers_equal_the_full_trace_to_the_byte(worker, family, values, few, more, whole):
    options = tuning(**values)
    smaller, larger = (
        worker.trace(open_job(family, options, "cuda", num_layers=n, batch_size=b)) for n, b in ((few, 2), (more, 3))
    )
    full = worker.trace(open_job(family, options, "cuda", num_layers=whole, batch_size=5))
    step = Family(smaller, larger, (2, 3)).step(full.num_layers, 5, options.gradient_accumulation)
    assert np.array_equal(step.recording.num_bytes, full.num_bytes)
    assert step.peak == Step(full).peak
    assert step.recording.num_parameters == full.num_parameters


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_every_family_is_repeated_from_few_layers(worker, estimator, family, adapter):
    facts = estimator.model(with_layers_repeated(family, 12))
    options = tuning(adapter=adapter, **({"base_dtype": "bf16"} if adapter == "full" else {}))
    step, method = estimator.step(finetuning_job(options, facts, "cuda"), card_of(16))
    assert method == "repeated"
    full = worker.trace(open_job(family, options, "cuda", num_layers=12))
    assert step.peak.num_bytes == Step(full, CUDA_ROUNDING, step.workspaces).peak.num_bytes


def test_a_models_facts_come_from_its_config(estimator):
    facts = estimator.model(with_layers_repeated("gemma3", 6))
    assert (facts.num_layers, facts.period, facts.context_length) == (6, 3, 128)
    assert estimator.model(MODELS["gpt2"]).num_layers == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "nothing"}, "model_type 'nothing' cannot be read"),
        ({"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Own"}}, "brings its own code"),
        ({**MODELS["llama"], "hidden_size": "wide"}, "model_type 'llama' cannot be read"),
        ({}, "model_type None cannot be read"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused_in_words(estimator, values, message):
    with pytest.raises(ConfigError, match=message):
        estimator.model(values)


def test_layers_that_are_not_there_are_answered_with_those_that_are(estimator):
    job = open_job("llama", tuning(adapter="lora", target_modules=("nowhere",)), "cuda")
    with pytest.raises(ConfigError, match="down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"):
        estimator.estimate(job, card_of(16))


def test_4_bits_need_linear_layers(estimator):
    with pytest.raises(ConfigError, match="GPT2LMHeadModel has no linear layers that 4 bits can hold"):
        estimator.estimate(open_job("gpt2", tuning(adapter="qlora"), "cuda"), card_of(16))


def test_a_model_that_cannot_be_traced_says_so(estimator):
    """torch's grouped product takes bf16 alone."""
    job = open_job("mixtral", tuning(adapter="full", precision="fp32"), "cuda")
    with pytest.raises(TraceFailed, match="Expected inputs of BF16 type"):
        estimator.estimate(job, card_of(16))


def test_frozen_weights_have_no_gradients_and_4_bits_are_half_a_byte(worker):
    lora, qlora = (
        Step(worker.trace(open_job("llama", tuning(adapter=adapter, precision="fp32"), "cuda"))).peak.terms
        for adapter in ("lora", "qlora")
    )
    in_4_bits = 3 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 160)
    scales = in_4_bits / 64
    # Beside them the tables of the format, 1,088 bytes a layer, and offsets.
    tables = 3 * 7 * (256 + 16 + 1) * 4
    assert lora["weights"] - qlora["weights"] == pytest.approx(
        in_4_bits * 3.5 - scales * (1 + 4 / 256) - tables, rel=0.01
    )
    assert lora["gradients"] == qlora["gradients"] < 0.1 * lora["weights"]
