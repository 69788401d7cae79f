"""Attention by the kernel that a run names, without a flag that other threads could notice.

F.scaled_dot_product_attention chooses a kernel itself. Torch's own way to force one, torch.nn.attention.sdpa_kernel,
switches the others off in flags of the whole process: a model that writes a text in another thread, or a look at what
this machine can do, then finds no kernel at all ("No viable backend"), or silently computes by another one, with other
bits. So a kernel is forced here by calling its operation, with what torch does around it once it has chosen. That
leaves nothing to put back, holds for this one call, and gives the same bits.

Source: torch, aten/src/ATen/native/transformers/attention.cpp, scaled_dot_product_attention; autocast_mode.cpp for the
cast in front of it. Shapes: B sequences, H heads, T tokens, D head width.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.backends.cuda import (
    SDPAParams,
    can_use_cudnn_attention,
    can_use_efficient_attention,
    can_use_flash_attention,
)
from torch.nn import functional as F

KERNELS = ("flash", "memory_efficient", "cudnn", "math")
_aten = torch.ops.aten


def attention(kernel: str, q_BHTD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, dropout: float) -> Tensor:
    """Causal attention by this kernel and no other, (B, H, T, D).

    Args:
        kernel: one of KERNELS.
        dropout: share of the attention weights that is dropped, drawn from torch's random numbers as usual.

    Raises:
        NotImplementedError: for a kernel that the device does not have.
        RuntimeError: from the kernel, for a number format, a head width or a dropout that it cannot do.
    """
    device = q_BHTD.device.type
    operation = _OF_DEVICE.get(device, _ANYWHERE).get(kernel)
    if operation is None:
        raise NotImplementedError(f"The attention kernel {kernel} is not there on {device}.")
    if not torch.is_autocast_enabled(device):
        return operation(q_BHTD, k_BHTD, v_BHTD, dropout)
    # Autocast knows F.scaled_dot_product_attention: it casts what goes in, and leaves alone what happens inside. Of the
    # operations it knows nothing: the math kernel, which computes in fp32 on purpose, would have its products cast.
    low = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        return operation(q_BHTD.to(low), k_BHTD.to(low), v_BHTD.to(low), dropout)


def can_train(kernel: str, q_BHTD: Tensor, dropout: float) -> bool:
    """Whether a kernel can run a training step on inputs like this one, found by running it forward and back.

    It may be asked beside a run: no flag is set and no random number is drawn.
    """
    if q_BHTD.device.type == "cuda" and kernel in _TORCH_SAYS:
        # The card's kernels are asked first, as torch asks before it chooses one: some would take what they get wrong.
        if not _TORCH_SAYS[kernel](SDPAParams(q_BHTD, q_BHTD, q_BHTD, None, dropout, True, False)):
            return False
    # A mask that is drawn here would be missing in a run that trains meanwhile. Of the kernels that are not asked, math
    # drops wherever it runs, and flash on the CPU refuses to before it draws.
    tried = dropout if q_BHTD.device.type == "cpu" and kernel == "flash" else 0.0
    try:
        attention(kernel, q_BHTD, q_BHTD, q_BHTD, tried).sum().backward()
    except RuntimeError:
        return False
    return True


def _math(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    return _aten._scaled_dot_product_attention_math(q, k, v, None, dropout, True)[0]


def _flash_on_cpu(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    if dropout > 0:  # torch refuses it too, but not on tensors without data, of which an estimate is made
        raise NotImplementedError("The attention kernel flash has no dropout on cpu.")
    return _aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, dropout, True)[0]


def _flash_on_cuda(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    # It reads heads in pieces of 8 numbers; padding them must not change the scale.
    width, scale = q.size(-1), 1.0 / math.sqrt(q.size(-1))
    if missing := -width % 8:
        q, k, v = (F.pad(t, (0, missing)) for t in (q, k, v))
    return _aten._scaled_dot_product_flash_attention(q, k, v, dropout, True, False, scale=scale)[0][..., :width]


def _memory_efficient(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    return _aten._scaled_dot_product_efficient_attention(q, k, v, None, _trains(q, k, v), dropout, True)[0]


def _cudnn(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    return _aten._scaled_dot_product_cudnn_attention(q, k, v, None, _trains(q, k, v), dropout, True, False)[0]


def _trains(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the kernel has to keep its sums of exponentials, which only the backward pass reads."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v))


_ANYWHERE: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {"math": _math}
_OF_DEVICE = {
    "cpu": {**_ANYWHERE, "flash": _flash_on_cpu},
    "cuda": {**_ANYWHERE, "flash": _flash_on_cuda, "memory_efficient": _memory_efficient, "cudnn": _cudnn},
}
_TORCH_SAYS = {
    "flash": can_use_flash_attention,
    "memory_efficient": can_use_efficient_attention,
    "cudnn": can_use_cudnn_attention,
}
