"""How the memory of a device behaves, where that differs from what tensors on the CPU show."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from llm_testing.estimate.trace_recorder import Recorder, Rewrite, Scratch


class Semantics(Protocol):
    """What a traced step needs to know of the device that it stands for.

    Args:
        scratch: bytes that a kernel holds while it runs, by operation.
    """

    scratch: Mapping[Any, Scratch]

    def rewrites(self) -> Mapping[Any, Rewrite]:
        """What operations are made of there, where a kernel is written in terms of others; asked for once the step is
        built, as packages register their kernels when they are imported."""

    def active(self) -> AbstractContextManager[None]:
        """Torch behaves as on the device while this is entered; it changes the whole process."""

    def adapt(self, optimizer: torch.optim.Optimizer, recorder: Recorder) -> None:
        """Make an optimizer keep its state as on the device."""

    def watching(self, recorder: Recorder) -> AbstractContextManager[None]:
        """While this is entered the recorder also follows what no operation makes."""

    def place(self, recorder: Recorder, make: Callable[[], Tensor]) -> Tensor:
        """Make an input as the loop brings it to the device."""
