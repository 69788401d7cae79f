"""What CUDA's attention kernels allocate: flash, memory-efficient and math, chosen as torch chooses them.

Shapes: B sequences, H heads, S positions, D head width. Sources, of torch 2.13 under aten/src/ATen/native/transformers:
cuda/flash_attn/flash_api.cpp, cuda/attention_backward.cu, cuda/mem_eff_attention/kernel_backward.h, attention.cpp,
cuda/sdp_utils.cpp. cuDNN's attention is taken to need what flash does, which is an assumption.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from llm_testing.estimate.trace_autocast import HALF


def cuda_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Stands in for F.scaled_dot_product_attention while a step is traced for CUDA."""
    query, key, value = _as_autocast_casts(query, key, value)
    if attn_mask is None and _flash_can(query):
        return _Flash.apply(query, key, value)
    if key.size(1) != query.size(1):
        # Only flash reads one head of keys for several of queries.
        times = query.size(1) // key.size(1)
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    return _MemoryEfficient.apply(query, key, value, _aligned(attn_mask, query))


def forced_cuda_attention(kernel: str, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Stands in for `model.kernels.attention` while a step is traced for CUDA.

    A kernel that could not run such a step, which is refused before it starts, is traced as math.
    """
    query, key, value = _as_autocast_casts(query, key, value)
    if kernel in ("flash", "cudnn") and _flash_can(query):
        return _Flash.apply(query, key, value)
    if kernel == "memory_efficient":
        return _MemoryEfficient.apply(query, key, value, None)
    return _math(query, key, value, dropout)


def _as_autocast_casts(*tensors: Tensor) -> Iterator[Tensor]:
    if not torch.is_autocast_enabled("cpu"):
        return iter(tensors)
    low = torch.get_autocast_dtype("cpu")
    return (t.to(low) if t.dtype == torch.float32 else t for t in tensors)


def _flash_can(query: Tensor) -> bool:
    return query.dtype in HALF and query.size(-1) <= 256


class _Flash(torch.autograd.Function):
    """Keeps q, k, v, the output and one fp32 number a row; pads heads to a multiple of 8."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.width = q.size(-1)
        q, k, v = (_padded(t) for t in (q, k, v))
        B, H, S, D = q.shape
        out = q.new_empty(B, S, H, D).transpose(1, 2)
        row_sums = q.new_empty(B, H, S, dtype=torch.float32)
        random_state = q.new_empty(2, dtype=torch.int64)
        ctx.save_for_backward(q, k, v, out, row_sums, random_state)
        return out[..., : ctx.width]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, out, _, _ = ctx.saved_tensors
        B, H, S, D = q.shape
        # Read as (B, S, H, D), and copied where that is not contiguous.
        grad = _padded(grad).transpose(1, 2).contiguous()
        dq, dk, dv = (t.new_empty(B, t.size(2), t.size(1), D) for t in (q, k, v))
        row_dots = q.new_empty(B, H, _up(S, 128), dtype=torch.float32)
        dq_sums = q.new_empty(B, _up(S, 128), H, _up(D, 32), dtype=torch.float32)
        if k.size(1) != H:
            expanded = [q.new_empty(B, k.size(2), H, D) for _ in range(2)]
            dk, dv = (t.view(B, t.size(1), k.size(1), -1, D).sum(3) for t in expanded)
            del expanded
        del row_dots, dq_sums, grad
        return tuple(t.transpose(1, 2)[..., : ctx.width] for t in (dq, dk, dv))


class _MemoryEfficient(torch.autograd.Function):
    """Runs in fp32 and with masks too; its backward needs a full-size temporary."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        B, H, S, _ = q.shape
        out = q.new_empty(B, S, H, v.size(-1)).transpose(1, 2)
        row_sums = q.new_empty(B, H, _up(S, 32), dtype=torch.float32)
        ctx.save_for_backward(q, k, v, mask, out, row_sums)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, _, out, _ = ctx.saved_tensors
        B, H, S, D = q.shape
        grad = grad.transpose(1, 2).contiguous()
        dq, dk, dv = (t.new_empty(B, t.size(2), H, t.size(-1)) for t in (q, k, v))
        if q.dtype in HALF:
            row_dots = q.new_empty(B, H, S, dtype=torch.float32)
            dq_sums = q.new_empty(B * H * _up(S, 128) * _up(D, 32), dtype=torch.float32)
            del dq_sums
        else:
            # Only the half-precision kernels compute this themselves.
            row_dots = (grad * out.transpose(1, 2)).sum(-1).transpose(-2, -1).contiguous()
        del row_dots, grad
        return *(t.transpose(1, 2) for t in (dq, dk, dv)), None


def _math(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """The operations of _scaled_dot_product_attention_math, which builds the score matrix."""
    root = math.sqrt(1 / math.sqrt(q.size(-1)))
    with torch.autocast("cpu", enabled=False):
        # Half precision is computed in fp32 unless torch is told otherwise.
        wide = [t.float() if q.dtype in HALF else t for t in (q, k, v)]
        causal = q.new_ones(q.size(-2), k.size(-2), dtype=torch.bool).tril()
        mask = torch.zeros_like(causal, dtype=wide[0].dtype).masked_fill_(causal.logical_not(), float("-inf"))
        scores = (wide[0] * root) @ (wide[1].transpose(-2, -1) * root)
        scores.add_(mask)
        weights = F.dropout(torch.softmax(scores, -1), dropout)
        return (weights @ wide[2]).to(q.dtype)


def _aligned(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A mask as the memory-efficient kernel takes it: numbers of the query's type, rows padded to a multiple of 8."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask, 0.0)
    columns = mask.size(-1)
    return F.pad(mask, (0, -columns % 8))[..., :columns] if columns % 8 else mask


def _padded(tensor: Tensor) -> Tensor:
    missing = -tensor.size(-1) % 8
    return F.pad(tensor, (0, missing)) if missing else tensor


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
