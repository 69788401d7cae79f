"""CUDA's memory behaviour on tensors without data that pose as CPU tensors.

Tensors without data cannot pose as CUDA tensors where there is no GPU: their backward ends the process, or asks for a
device. So autocast's table, attention, dropout and the foreach paths are CUDA's, set for the whole process.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad

from llm_testing.estimate.trace_attention import cuda_attention, forced_cuda_attention
from llm_testing.estimate.trace_autocast import cuda_autocast
from llm_testing.estimate.trace_bitsandbytes import cuda_kernels, page_states, qmaps_without_data
from llm_testing.estimate.trace_recorder import Recorder, Rewrite
from llm_testing.model import kernels

_aten = torch.ops.aten
SORTED_FROM = 3072
"""Tokens in a batch beyond which an embedding's gradient is summed by sorting.

Source: torch 2.13, aten/src/ATen/native/cuda/Embedding.cu, embedding_dense_backward_cuda.
"""


class CUDASemantics:
    """A CUDA device, traced without one."""

    def __init__(self) -> None:
        self.scratch = {_aten.embedding_dense_backward.default: _embedding_backward}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Torch behaves as on CUDA while this is entered; it changes the whole process."""
        changed = [
            (F, "scaled_dot_product_attention", cuda_attention),
            (kernels, "attention", forced_cuda_attention),
            (F, "dropout", _dropout),
            (torch, "is_autocast_enabled", _autocast_enabled(torch.is_autocast_enabled)),
            (torch, "get_autocast_dtype", _autocast_dtype(torch.get_autocast_dtype)),
            (clip_grad, "_has_foreach_support", lambda tensors, device: True),
            (clip_grad, "_device_has_foreach_support", lambda device: True),
        ]
        with ExitStack() as undo:
            undo.enter_context(cuda_autocast())
            for module, name, replacement in changed:
                undo.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, replacement)
            yield

    def rewrites(self) -> dict[Any, Rewrite]:
        """bitsandbytes' products with 4-bit weights; every other kernel is one operation."""
        return cuda_kernels()

    def adapt(self, optimizer: torch.optim.Optimizer, recorder: Recorder) -> None:
        """8-bit optimizers keep tables without data; paged ones keep large states in managed memory."""
        qmaps_without_data(optimizer)
        page_states(optimizer, recorder)

    def watching(self, recorder: Recorder) -> AbstractContextManager[None]:
        """Nothing more to follow: random states are kept in main memory."""
        return nullcontext()

    def place(self, recorder: Recorder, make: Callable[[], Tensor]) -> Tensor:
        """A batch is copied to the device."""
        return make()


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """CUDA's dropout keeps a mask of one byte a number; the CPU's keeps one of the input's type."""
    return torch.native_dropout(input, p, True)[0] if training and 0 < p < 1 else input


def _autocast_enabled(original: Callable[..., bool]) -> Callable[..., bool]:
    # Without an argument torch answers for CUDA, on which packages branch; here autocast runs under the CPU's name.
    return lambda device_type="cpu": original("cpu")


def _autocast_dtype(original: Callable[..., torch.dtype]) -> Callable[..., torch.dtype]:
    return lambda device_type="cpu": original("cpu")


def _embedding_backward(args: tuple, kwargs: dict[str, Any]) -> Iterator[int]:
    """Sorted and original positions, four lists of segments, and the segments' sums in fp32.

    Source: torch 2.13, aten/src/ATen/native/cuda/EmbeddingBackwardKernel.cu, embedding_backward_cuda_kernel.
    """
    grad, indices = args[:2]
    if indices.numel() > SORTED_FROM:
        yield from [indices.numel() * 8] * 6
        yield indices.numel() * grad.size(-1) * max(4, grad.element_size())
