"""A forced kernel: the same numbers as torch's own way to force one, and nothing that another thread can notice."""

from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from llm_testing.config.shapes import Shape
from llm_testing.model import gpt, kernels
from llm_testing.model.device import sdpa_kernels
from llm_testing.model.gpt import build_gpt
from llm_testing.model.kernels import KERNELS, attention
from tests.process_wide import unchanged

CPU = torch.device("cpu")
TORCHS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CARD])]
SMALL = Shape(n_layer=2, n_head=2, n_embd=16, context_length=12, vocab_size=23, tie_embeddings=False, qkv_bias=True)


def by_flags(kernel, q, k, v, dropout):
    """Torch's own way: the other kernels are switched off, for the whole process. No other thread computes here."""
    with sdpa_kernel([TORCHS[kernel]]):
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)


def result_and_gradients(attend, kernel, dropout, q, k, v):
    leaves = [t.detach().clone().requires_grad_() for t in (q, k, v)]
    torch.manual_seed(7)
    heads = [t.transpose(1, 2) for t in leaves]  # as a model hands them on: (B, T, H, D) seen as (B, H, T, D)
    result = attend(kernel, *heads, dropout)
    (result.float() * torch.arange(result.size(-1), device=result.device)).sum().backward()
    return [result, *(t.grad for t in leaves)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize(("tokens", "width"), [(16, 8), (33, 20), (256, 64)])
def test_a_forced_kernel_gives_to_the_bit_what_torchs_flags_give(device, precision, dropout, tokens, width):
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, tokens, 3, width, generator=generator).to(device, dtype) for _ in range(3))
    runs = sdpa_kernels(torch.device(device), precision, width, dropout)
    assert "math" in runs
    for kernel in runs:
        forced, flagged = (result_and_gradients(f, kernel, dropout, q, k, v) for f in (attention, by_flags))
        assert all(torch.equal(a, b) for a, b in zip(forced, flagged, strict=True)), kernel


@pytest.mark.parametrize("kernel", ["flash", "math"])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
def test_autocast_casts_what_goes_in_and_nothing_inside(kernel, low, given):
    q, k, v = (t.to(given) for t in torch.randn(3, 2, 16, 3, 8, generator=torch.Generator().manual_seed(3)))
    with torch.autocast("cpu", dtype=low):
        forced, flagged = (result_and_gradients(f, kernel, 0.0, q, k, v) for f in (attention, by_flags))
    assert forced[0].dtype == low
    assert all(torch.equal(a, b) for a, b in zip(forced, flagged, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("kernel", "dropout"), [("flash", 0.0), ("math", 0.0), ("math", 0.2)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_models_losses_and_gradients_are_those_of_torchs_flags(precision, kernel, dropout, checkpointing):
    tokens = torch.randint(0, SMALL.vocab_size, (3, 12), generator=torch.Generator().manual_seed(5))
    choices = {"dropout": dropout, "gradient_checkpointing": checkpointing}

    def trained(model):
        torch.manual_seed(9)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = F.cross_entropy(model.train()(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        return [loss, *(p.grad for p in model.parameters())]

    forced = trained(build_gpt(SMALL, 1, sdpa_kernel=kernel, **choices))
    with sdpa_kernel([TORCHS[kernel]]):
        flagged = trained(build_gpt(SMALL, 1, **choices))
    assert all(torch.equal(a, b) for a, b in zip(forced, flagged, strict=True))


def test_a_kernel_that_cannot_do_it_refuses_instead_of_being_replaced():
    q = torch.zeros(1, 1, 8, 8)
    for kernel in ("memory_efficient", "cudnn"):
        with pytest.raises(NotImplementedError, match=f"{kernel} is not there on cpu"):
            attention(kernel, q, q, q, 0.0)
    with pytest.raises(RuntimeError, match="dropout"):
        attention("flash", q, q, q, 0.1)


@pytest.mark.parametrize("width", [20, 24])
def test_the_cards_kernels_are_called_as_torch_declares_them(width):
    """Without a card: on tensors without data, which go through torch's own declarations of these operations."""
    q = torch.zeros(2, 3, 16, width, device="meta", dtype=torch.bfloat16, requires_grad=True)
    for kernel in KERNELS:
        assert kernels._OF_DEVICE["cuda"][kernel](q, q, q, 0.1).shape == q.shape


def test_padded_heads_keep_their_scale():
    """The card's flash kernel reads heads in pieces of 8; the CPU's, which takes any, stands in for it."""

    def on_cpu(q, k, v, dropout, causal, debug, scale):
        assert q.size(-1) % 8 == 0
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, dropout, causal, scale=scale)

    q, k, v = torch.randn(3, 2, 3, 16, 20, generator=torch.Generator().manual_seed(3))
    with patch.object(kernels, "_aten", SimpleNamespace(_scaled_dot_product_flash_attention=on_cpu)):
        padded = kernels._OF_DEVICE["cuda"]["flash"](q, k, v, 0.0)
    assert torch.allclose(padded, F.scaled_dot_product_attention(q, k, v, is_causal=True), atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_training_with_a_forced_kernel_sets_nothing_for_the_whole_process(dropout):
    model = build_gpt(SMALL, 1, sdpa_kernel="math", dropout=dropout).train()
    with unchanged(draws=dropout > 0):
        model(torch.zeros(2, 12, dtype=torch.long)).sum().backward()


def test_evaluation_takes_any_kernel():
    # In evaluation there is no dropout, for which a kernel may have been chosen that cannot do it.
    model = build_gpt(SMALL, 1, sdpa_kernel="cudnn").eval()
    tokens = torch.zeros(2, 12, dtype=torch.long)
    assert torch.equal(model(tokens), build_gpt(SMALL, 1).eval()(tokens))
    with pytest.raises(NotImplementedError):
        model.train()(tokens)
    assert not hasattr(gpt, "sdpa_kernel")


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("device", DEVICES)
def test_asking_which_kernels_can_run_changes_nothing(dropout, precision, device):
    card = torch.cuda.get_rng_state() if device == "cuda" else None
    with unchanged():
        sdpa_kernels(torch.device(device), precision, 16, dropout)
    assert card is None or torch.equal(card, torch.cuda.get_rng_state())


def test_kernels_are_found_by_running_them():
    plain, dropping = (sdpa_kernels(CPU, "fp32", 16, dropout) for dropout in (0.0, 0.1))
    assert plain == ("flash", "math") and set(plain) < set(KERNELS)
    # The fused CPU kernel cannot drop: with dropout only the math path is left.
    assert dropping == ("math",)
