"""Tensors without data, made quickly: what an operation gives is remembered by the shapes of what it is given.

torch's own mode remembers too, but describes each tensor by so much that finding it again is most of a trace's time.
Here shape, strides, offset, type and whether a gradient is wanted suffice: every tensor of a trace is dense and poses
as one of the CPU. What is remembered holds for every trace, so that one memory may serve many.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

Again = Callable[[FakeTensorMode, list[FakeTensor]], Any]
"""Makes an operation's result anew, in a mode, from the tensors that it is given."""
Memory = dict[tuple, Again | None]
MOST_KNOWN = 50_000
"""Operations remembered before a memory is begun anew; a trace has some hundred."""

_PLAIN = frozenset(
    {int, float, bool, str, type(None), torch.dtype, torch.layout, torch.memory_format, torch.device, torch.Size}
)
_CPU = torch.device("cpu")


class QuickFakeMode(FakeTensorMode):
    """A FakeTensorMode in which an operation that is asked for again costs a third.

    Args:
        memory: what earlier traces of this process met.
    """

    def __init__(self, memory: Memory):
        super().__init__()
        self.cache_enabled = False  # one memory is enough
        self._memory = memory
        if len(memory) > MOST_KNOWN:
            memory.clear()

    def dispatch(self, func: Any, types: Any, args: Sequence = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """What torch calls for each operation."""
        kwargs = kwargs or {}
        tensors: list[FakeTensor] = []
        key = _key(func, args, kwargs, tensors)
        again = self._memory.get(key) if key else None
        if again is not None:
            return again(self, tensors)
        result = super().dispatch(func, types, args, kwargs)
        # A second description tells whether the operation changed the shape of what it was given.
        if key and key not in self._memory and _key(func, args, kwargs, []) == key:
            self._memory[key] = self._again(result, tensors)
        return result

    def _again(self, result: Any, given: list[FakeTensor]) -> Again | None:
        if result is None:
            return lambda mode, given: None
        if isinstance(result, FakeTensor):
            return self._tensor_again(result, given)
        if type(result) not in (list, tuple):
            return None
        kind, parts = type(result), [self._again(part, given) for part in result]
        storages = [part.untyped_storage()._cdata for part in result if isinstance(part, FakeTensor)]
        if None in parts or len(set(storages)) < len(storages) and not given:
            return None
        return lambda mode, given: kind([part(mode, given) for part in parts])

    def _tensor_again(self, result: FakeTensor, given: list[FakeTensor]) -> Again | None:
        for index, tensor in enumerate(given):
            if result is tensor:
                return lambda mode, given: given[index]
        if result.constant is not None or result.requires_grad or result.fake_device != _CPU:
            return None
        storage = result.untyped_storage()._cdata
        source = next((i for i, t in enumerate(given) if t.untyped_storage()._cdata == storage), None)
        shape, stride, dtype, offset = result.shape, result.stride(), result.dtype, result.storage_offset()

        def again(mode: FakeTensorMode, given: list[FakeTensor]) -> FakeTensor:
            with torch._C._DisableTorchDispatch():
                made = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
                if source is not None:
                    made.set_(given[source].untyped_storage(), offset, shape, stride)
            return FakeTensor(mode, made, _CPU)

        return again if _alike(again(self, given), result) else None


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether a tensor that was made anew is what the operation gave."""
    keys = torch._C._dispatch_key_set
    return (
        one.untyped_storage().nbytes() == other.untyped_storage().nbytes()
        and one.storage_offset() == other.storage_offset()
        and keys(one) == keys(other)
    )


def _key(func: Any, args: Iterable, kwargs: Mapping[str, Any], tensors: list[FakeTensor]) -> tuple | None:
    """What the result of an operation depends on; None where that cannot be said. Collects the tensors given."""
    parts: list[Any] = [func]
    if not _describe(parts, args, tensors):
        return None
    if kwargs:
        parts += kwargs
        if not _describe(parts, kwargs.values(), tensors):
            return None
    return tuple(parts)


def _describe(parts: list[Any], values: Iterable, tensors: list[FakeTensor]) -> bool:
    for value in values:
        kind = type(value)
        if kind is FakeTensor:
            if value.constant is not None:
                return False
            tensors.append(value)
            parts += (value.shape, value.stride(), value.storage_offset(), value.dtype, value.requires_grad)
        elif kind in _PLAIN:
            # 1, 1.0 and True are equal, and give results of different types.
            parts += (kind, value)
        elif kind is list or kind is tuple:
            parts += (kind, len(value))
            if not _describe(parts, value, tensors):
                return False
        else:
            return False
    return True
