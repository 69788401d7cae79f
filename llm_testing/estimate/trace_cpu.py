"""Memory behaviour of torch's CPU kernels, where it is more than the tensors that operations give.

Sources are files of torch 2.13; the figures were compared with the allocator's own events (tests/estimate/test_cpu.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from llm_testing.estimate.trace_bitsandbytes import cpu_kernels, qmaps_without_data
from llm_testing.estimate.trace_recorder import Recorder, Rewrite

_aten = torch.ops.aten
_FLASH = _aten._scaled_dot_product_flash_attention_for_cpu.default
_FLASH_BACKWARD = _aten._scaled_dot_product_flash_attention_for_cpu_backward.default


class CPUSemantics:
    """The CPU as it is.

    Args:
        threads: that kernels share their work among; each has buffers of its own.
    """

    def __init__(self, threads: int):
        self._threads = threads
        self.scratch = {_FLASH: self._flash, _FLASH_BACKWARD: self._flash_backward}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Nothing to change."""
        yield

    def rewrites(self) -> dict[Any, Rewrite]:
        """bitsandbytes' CPU kernels are Python code with temporaries."""
        return cpu_kernels()

    def adapt(self, optimizer: torch.optim.Optimizer, recorder: Recorder) -> None:
        """8-bit optimizers keep their tables as tensors without data."""
        qmaps_without_data(optimizer)

    @contextmanager
    def watching(self, recorder: Recorder) -> Iterator[None]:
        """Follow the copies of the random state (5,056 bytes each) that checkpointing keeps for each block."""
        original = torch.get_rng_state

        def watched() -> Tensor:
            state = original()
            recorder.watch(state, "get_rng_state")
            return state

        torch.get_rng_state = watched
        try:
            yield
        finally:
            torch.get_rng_state = original

    def place(self, recorder: Recorder, make: Callable[[], Tensor]) -> Tensor:
        """A batch lies in numpy's memory, which torch only looks at."""
        with recorder.looking_away():
            return make()

    def _flash(self, args: tuple, kwargs: dict[str, Any]) -> Iterator[int]:
        rows, columns, head_width = _tile(args[0], args[1])
        # Scores, their maxima and sums, and the rows of the result, in fp32.
        yield self._threads * rows * (columns + 2 + head_width) * 4
        if args[0].dtype != torch.float32:
            yield self._threads * rows * columns * 2

    def _flash_backward(self, args: tuple, kwargs: dict[str, Any]) -> Iterator[int]:
        rows, columns, _ = _tile(args[1], args[2])
        # Scores and their gradients, in fp32, and both once more in the tensors' type where that is a shorter one.
        yield self._threads * 2 * rows * columns * 4
        if args[1].dtype != torch.float32:
            yield self._threads * 2 * rows * columns * 2


def _tile(q_BHTD: Tensor, k_BHTD: Tensor) -> tuple[int, int, int]:
    """Rows and columns of the scores that a thread works on at once, and the head width.

    Source: aten/src/ATen/native/cpu/FlashAttentionKernel.cpp, the sizes that flash_attention_kernel_impl chooses.
    """
    tokens = q_BHTD.size(2)
    rows = 256 if tokens >= 768 else 64 if tokens >= 192 else 32
    return min(rows, tokens), min(512, k_BHTD.size(2)), q_BHTD.size(3)
