"""What the bytes are for, against counts by hand."""

import pytest

from llm_testing.estimate.budget import card_of, main_memory
from llm_testing.estimate.recording import TERMS
from llm_testing.estimate.step import Step
from llm_testing.estimate.trace_autocast import cuda_table
from tests.estimate.parts import VOCAB, asked, config, job

B, T, C, L, H = 4, 64, 64, 3, 4


def kept_for_backward(worker, options, device="cuda"):
    """Bytes of activations when the last logits are made."""
    recording = worker.trace(job(options, device))
    step = Step(recording)
    points = [p for p in step.timeline(10**6) if p["stage"] == "head"]
    return points[0]["bytes"]["activations"]


def test_weights_gradients_and_optimizer_are_what_the_parameters_say(worker):
    recording = worker.trace(job(config(), "cpu"))
    points = Step(recording).timeline(10**6)
    before_update = next(p for p in points if p["stage"] == "update")["bytes"]
    num = recording.num_parameters
    num_tensors = 12 * L - L + 5
    assert before_update["weights"] == 4 * num
    assert before_update["gradients"] == 4 * num
    assert before_update["optimizer"] == pytest.approx(8 * num + 4 * num_tensors, abs=64)


def test_manual_attention_keeps_the_score_matrix_and_sdpa_does_not(worker):
    manual, sdpa = (kept_for_backward(worker, config(attention_impl=impl, dropout=0.0)) for impl in ("manual", "sdpa"))
    # Scores after the softmax and the mask of the future; the fused kernel keeps a number a row, and no scores.
    assert manual - sdpa == L * (B * H * T * T * 4 + T * T - B * H * T * 4)


def test_dropout_keeps_one_byte_a_number_on_cuda_and_four_on_the_cpu(worker):
    options = config(attention_impl="sdpa", dropout=0.1), config(attention_impl="sdpa", dropout=0.0)
    masks = (2 * L + 1) * B * T * C
    on_cuda = kept_for_backward(worker, options[0]) - kept_for_backward(worker, options[1])
    assert on_cuda == pytest.approx(masks, rel=0.05)


def test_checkpointing_keeps_one_residual_stream_a_block(worker):
    kept = kept_for_backward(worker, config(gradient_checkpointing=True, attention_impl="sdpa", dropout=0.0))
    assert kept == pytest.approx((L + 2) * B * T * C * 4, rel=0.02)


def test_logits_and_loss_in_bf16_take_ten_bytes_a_logit(worker):
    """bf16 log-softmax, its fp32 copy for the loss, and the gradient of that: as CUDA's autocast table has it.

    The logits themselves, two bytes each, go before the backward pass begins.
    """
    options = config(precision="bf16", attention_impl="sdpa", dropout=0.0)
    peak = Step(worker.trace(job(options, "cuda", vocab=50_000))).peak
    assert peak.terms["logits_and_loss"] == pytest.approx(10 * B * T * 50_000, rel=0.01)


def test_paged_states_leave_the_card(worker):
    values = {"n_embd": 256, "n_layer": 3}
    eight, paged = (
        Step(worker.trace(job(config(optimizer=name, **values), "cuda"))).peak.terms["optimizer"]
        for name in ("adamw_8bit", "paged_adamw_8bit")
    )
    assert paged < 0.2 * eight


def test_cudas_autocast_table_is_read_from_torch():
    assert {"layer_norm", "rms_norm", "nll_loss", "pow.Tensor_Scalar"} <= set(cuda_table("AT_FORALL_FP32"))
    assert {"softmax.int", "sum", "sum.dim_IntList"} <= set(cuda_table("AT_FORALL_FP32_SET_OPT_DTYPE"))
    with pytest.raises(RuntimeError, match="has no list AT_NOTHING"):
        cuda_table("AT_NOTHING")


def test_workspaces_are_counted_on_a_card_only(estimator):
    options = config()
    card, memory = card_of(16), main_memory(10**10)
    on_card = estimator.estimate(asked(options, card), card, quick=True)
    on_cpu = estimator.estimate(asked(options, memory), memory)
    assert on_card.terms["workspaces"] == sum(on_card.budget.workspaces) == 2 * 8_519_680
    assert on_cpu.terms["workspaces"] == 0
    assert tuple(on_cpu.terms) == TERMS


def test_the_vocabulary_is_the_shapes(worker):
    small, large = (Step(worker.trace(job(config(), vocab=v))).peak.terms["weights"] for v in (VOCAB, 2 * VOCAB))
    assert large - small == 2 * VOCAB * C * 4
