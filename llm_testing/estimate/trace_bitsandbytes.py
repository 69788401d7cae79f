"""bitsandbytes' own optimizer and 4-bit classes on tensors without data.

The classes run as they are: which states they make, of which sizes, is theirs to say. Only what needs a GPU or data is
stood in for: the tables of the 8-bit format, paged buffers, and kernels that are Python code over torch's operations.
"""

from typing import Any

import torch
from torch import Tensor

from llm_testing.estimate.trace_recorder import Recorder, Rewrite

_IN_PYTHON = ("optimizer_update_8bit_blockwise", "optimizer_update_32bit", "gemm_4bit")
"""Source: bitsandbytes 0.50.2, backends/default/ops.py."""
_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
PAGED_FROM = 1e5
"""Elements from which a paged optimizer keeps a state in managed memory, outside torch's allocator.

Source: bitsandbytes 0.50.2, optim/optimizer.py, Optimizer8bit.get_state_buffer.
"""


def is_bitsandbytes(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer is one of bitsandbytes'."""
    return type(optimizer).__module__.startswith("bitsandbytes.")


def qmaps_without_data(optimizer: torch.optim.Optimizer) -> None:
    """Replace the tables that an 8-bit optimizer computed when it was made."""
    if is_bitsandbytes(optimizer):
        for name, table in optimizer.name2qmap.items():
            optimizer.name2qmap[name] = torch.empty(table.shape, dtype=table.dtype)


def page_states(optimizer: torch.optim.Optimizer, recorder: Recorder) -> None:
    """Let a paged optimizer on the CPU keep its states where it would on CUDA: large ones in managed memory."""
    if not (is_bitsandbytes(optimizer) and optimizer.is_paged):
        return

    def state_buffer(parameter: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        if parameter.numel() < PAGED_FROM:
            return torch.zeros_like(parameter, dtype=dtype)
        with recorder.looking_away():
            return torch.zeros_like(parameter, dtype=dtype)

    optimizer.get_state_buffer = state_buffer
    optimizer.prefetch_state = lambda parameter: None


def cpu_kernels() -> dict[Any, Rewrite]:
    """bitsandbytes' CPU kernels by operation, where that package is loaded: Python code over torch's operations."""
    namespace = torch.ops.bitsandbytes
    found = [getattr(namespace, name).default for name in _IN_PYTHON if hasattr(namespace, name)]
    return {op: _kernel_of(op) for op in found}


def _kernel_of(op: Any) -> Rewrite:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        return op.redispatch(_CPU, *args, **kwargs)

    return kernel


def cuda_kernels() -> dict[Any, Rewrite]:
    """bitsandbytes' CUDA kernels by operation, where they are made of several steps."""
    namespace = torch.ops.bitsandbytes
    return {namespace.gemm_4bit.default: _gemm_4bit} if hasattr(namespace, "gemm_4bit") else {}


def _gemm_4bit(
    A: Tensor,
    B: Tensor,
    shapeB: Any,
    absmax: Tensor,
    blocksize: int,
    quant_type: str,
    bias: Tensor | None = None,
    absmax_8bit: Tensor | None = None,
    absmax_code: Tensor | None = None,
    absmax_offset: Tensor | None = None,
) -> Tensor:
    """The whole weight as a temporary, which is how batches of more than 512 to 1,536 tokens run.

    Below, some cards run a kernel that needs none; backward needs it on all. Assumed throughout, as the cautious one.
    Source: bitsandbytes 0.50.2, backends/cuda/ops.py, _dequant_linear_fallback.
    """
    kept = [torch.empty_like(absmax_8bit, dtype=torch.float32)] if absmax_8bit is not None else []
    kept += [scales + absmax_offset for scales in kept]
    weight = torch.empty(tuple(shapeB), dtype=A.dtype)
    return torch.nn.functional.linear(A, weight, bias)
