"""Traced against real: the same step on the CPU, by the allocator's own events."""

import pytest
import torch

from llm_testing.estimate.trace_gpt import trace_gpt
from tests.estimate.parts import config, job, measure, peak_of

EXACT = {
    "manual fp32": {},
    "manual fp32 without dropout": {"dropout": 0.0},
    "manual bf16": {"precision": "bf16"},
    "manual bf16 without dropout": {"precision": "bf16", "dropout": 0.0},
    "manual fp16": {"precision": "fp16"},
    "manual tied": {"tie_embeddings": True},
    "manual tied bf16": {"tie_embeddings": True, "precision": "bf16"},
    "manual with biases": {"qkv_bias": True},
    "manual accumulating 2": {"grad_accum_steps": 2},
    "manual accumulating 5": {"grad_accum_steps": 5},
    "manual accumulating bf16": {"grad_accum_steps": 3, "precision": "bf16"},
    "manual checkpointing": {"gradient_checkpointing": True},
    "manual checkpointing bf16": {"gradient_checkpointing": True, "precision": "bf16"},
    "manual checkpointing without dropout": {"gradient_checkpointing": True, "dropout": 0.0},
    "manual without clipping": {"grad_clip": 0.0},
    "manual batch of one": {"batch_size": 1},
    "manual long": {"context_length": 256, "batch_size": 2},
    "manual wide": {"n_embd": 128, "n_layer": 1},
    "manual deep": {"n_layer": 6},
    "manual one layer": {"n_layer": 1},
    "sdpa fp32": {"attention_impl": "sdpa"},
    "sdpa fp32 without dropout": {"attention_impl": "sdpa", "dropout": 0.0},
    "sdpa bf16": {"attention_impl": "sdpa", "precision": "bf16"},
    "sdpa bf16 without dropout": {"attention_impl": "sdpa", "precision": "bf16", "dropout": 0.0},
    "sdpa fp16 without dropout": {"attention_impl": "sdpa", "precision": "fp16", "dropout": 0.0},
    "sdpa tied": {"attention_impl": "sdpa", "tie_embeddings": True, "dropout": 0.0},
    "sdpa tied bf16": {"attention_impl": "sdpa", "tie_embeddings": True, "precision": "bf16", "dropout": 0.0},
    "sdpa with biases": {"attention_impl": "sdpa", "qkv_bias": True, "dropout": 0.0},
    "sdpa accumulating": {"attention_impl": "sdpa", "grad_accum_steps": 2, "dropout": 0.0},
    "sdpa accumulating bf16": {"attention_impl": "sdpa", "grad_accum_steps": 4, "precision": "bf16", "dropout": 0.0},
    "sdpa checkpointing": {"attention_impl": "sdpa", "gradient_checkpointing": True, "dropout": 0.0},
    "sdpa checkpointing bf16": {
        "attention_impl": "sdpa",
        "gradient_checkpointing": True,
        "precision": "bf16",
        "dropout": 0.0,
    },
    "sdpa checkpointing with dropout": {"attention_impl": "sdpa", "gradient_checkpointing": True},
    "sdpa checkpointing deep": {
        "attention_impl": "sdpa",
        "gradient_checkpointing": True,
        "n_layer": 8,
        "dropout": 0.0,
    },
    "sdpa forced math": {"attention_impl": "sdpa", "sdpa_kernel": "math", "dropout": 0.0},
    "sdpa 128 tokens": {"attention_impl": "sdpa", "context_length": 128, "dropout": 0.0},
    "sdpa 256 tokens": {"attention_impl": "sdpa", "context_length": 256, "dropout": 0.0, "batch_size": 2},
    "sdpa 256 tokens bf16": {
        "attention_impl": "sdpa",
        "context_length": 256,
        "dropout": 0.0,
        "batch_size": 2,
        "precision": "bf16",
    },
    "sdpa 1024 tokens": {"attention_impl": "sdpa", "context_length": 1024, "dropout": 0.0, "batch_size": 1},
    "sdpa 1024 tokens bf16": {
        "attention_impl": "sdpa",
        "context_length": 1024,
        "dropout": 0.0,
        "batch_size": 1,
        "precision": "bf16",
    },
    "sdpa odd width": {"attention_impl": "sdpa", "n_embd": 60, "context_length": 50, "dropout": 0.0},
    "sdpa batch of one": {"attention_impl": "sdpa", "batch_size": 1, "dropout": 0.0},
    "all at once": {
        "attention_impl": "sdpa",
        "gradient_checkpointing": True,
        "precision": "bf16",
        "tie_embeddings": True,
        "grad_accum_steps": 2,
        "qkv_bias": True,
    },
}
EIGHT_BIT = {
    "8-bit": {"optimizer": "adamw_8bit"},
    "8-bit bf16": {"optimizer": "adamw_8bit", "precision": "bf16", "attention_impl": "sdpa", "dropout": 0.0},
    "8-bit fp16": {"optimizer": "adamw_8bit", "precision": "fp16"},
    "8-bit accumulating": {"optimizer": "adamw_8bit", "grad_accum_steps": 2},
    "8-bit at its update": {"optimizer": "adamw_8bit", "batch_size": 1, "context_length": 8},
    "8-bit paged": {"optimizer": "paged_adamw_8bit"},
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def off_by(options, vocab=512) -> float:
    """Share by which the trace is off the real peak."""
    real = measure(options, vocab).peak_bytes
    return abs(peak_of(trace_gpt(job(options, vocab=vocab), {})) - real) / real


def test_there_are_forty_configurations():
    assert len(EXACT) >= 40


@pytest.mark.parametrize("name", EXACT)
def test_the_trace_is_within_a_thousandth_of_the_real_peak(name):
    assert off_by(config(**EXACT[name])) <= 0.001


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_with_8_bit_optimizers_it_is_within_a_hundredth(name):
    assert off_by(config(**EIGHT_BIT[name])) <= 0.01


@pytest.mark.parametrize("name", ["manual fp32", "8-bit"])
def test_what_is_there_before_the_step_is_traced_too(name):
    options = config(**(EXACT | EIGHT_BIT)[name])
    recording = trace_gpt(job(options), {})
    states = [n for n, s in enumerate(recording.alloc_section) if recording.sections[s].stage in ("weights", "states")]
    ended = set(recording.allocation[recording.is_free].tolist())
    kept = sum(int(recording.num_bytes[n]) for n in states if n not in ended)
    assert kept == pytest.approx(measure(options).before_bytes, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["nano", "small"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_named_sizes_are_as_exact(size, precision):
    options = config(config_name=size, n_layer=None, n_head=None, n_embd=None, batch_size=2, precision=precision)
    assert off_by(options, vocab=4096) <= 0.001
