"""CUDA's autocast table on the CPU's autocast key, since tensors without data can only pose as CPU tensors.

The two tables differ: layer norm, softmax, sums and powers run in fp32 under CUDA's alone, cross-entropy is passed
through there. The CUDA table is read from the header that comes with torch, so a new release brings its own.
"""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

HEADER = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
HALF = (torch.bfloat16, torch.float16)
CPU_ONLY = ("cross_entropy_loss", "cat", "stack", "index_copy")
"""Operations that only the CPU's table casts. Source: torch 2.13, aten/src/ATen/autocast_mode.cpp, its CPU block."""


def cuda_table(macro: str) -> list[str]:
    """The operations of one of the header's lists: `AT_FORALL_FP32` gives ["acos", ..., "pow.Tensor_Scalar", ...]."""
    text = HEADER.read_text(encoding="utf-8")
    found = re.search(rf"#define {macro}\(_\)((?:.*\\\n)*.*\n)", text)
    if found is None:
        raise RuntimeError(f"{HEADER} has no list {macro}: this version of torch needs another reader of its table.")
    return [".".join(part.strip() for part in op.split(",")) for op in re.findall(r"_\(([^)]*)\)", found[1])]


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """Autocast on the CPU casts as it does on CUDA; for the whole process, while entered."""
    library = torch.library.Library("aten", "IMPL", "AutocastCPU")
    try:
        with warnings.catch_warnings():
            # torch warns that the CPU's own entries are overridden, which is the purpose.
            warnings.simplefilter("ignore")
            for name in cuda_table("AT_FORALL_FP32"):
                library.impl(name, _in_fp32(_overload(name)), allow_override=True)
            for name in cuda_table("AT_FORALL_FP32_SET_OPT_DTYPE"):
                library.impl(name, _to_fp32(_overload(name)), allow_override=True)
            for name in CPU_ONLY:
                library.impl(name, torch.library.fallthrough_kernel, allow_override=True)
        yield
    finally:
        library._destroy()


def _overload(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def _in_fp32(op: Any) -> Callable[..., Any]:
    """The policy fp32: half-precision inputs are cast up."""

    def cast(value: Any) -> Any:
        return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _without_autocast():
            return op(*map(cast, args), **{name: cast(value) for name, value in kwargs.items()})

    return kernel


def _to_fp32(op: Any) -> Callable[..., Any]:
    """The policy fp32_set_opt_dtype: the result of half-precision inputs is fp32 unless a dtype was asked for."""
    place = [argument.name for argument in op._schema.arguments].index("dtype")

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _without_autocast():
            given = args[place] if len(args) > place else kwargs.get("dtype")
            if given is None and isinstance(args[0], Tensor) and args[0].dtype in HALF:
                return op(*args[:place], **(kwargs | {"dtype": torch.float32}))
            return op(*args, **kwargs)

    return kernel


def _without_autocast() -> Any:
    return torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU))
