"""What a look must leave alone: everything of torch and Python that belongs to the process and not to a thread."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

_SETTERS = [
    *((torch._C, name) for name in dir(torch._C) if name.startswith(("_set_sdp_", "_set_cublas_", "_set_cudnn_"))),
    *((torch._C, f"_set_{name}") for name in ("default_dtype", "deterministic_algorithms", "float32_matmul_precision")),
    *((torch, name) for name in ("manual_seed", "seed", "set_rng_state", "set_num_threads", "set_default_dtype")),
    *((torch.random, name) for name in ("manual_seed", "seed", "set_rng_state", "fork_rng")),
    (torch.cuda, "reset_peak_memory_stats"),
    (torch.cuda, "manual_seed_all"),
    (warnings, "catch_warnings"),
]
"""What sets such a thing; one that is set and put back again is as bad, for who computes meanwhile."""


def state_of_process() -> dict[str, Any]:
    """The random state, the flags and the defaults, as values that can be compared."""
    attention = ("flash", "mem_efficient", "math", "cudnn", "overrideable")
    return {
        "random state": torch.get_rng_state().numpy().tobytes(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32),
        "attention": {name: getattr(torch._C, f"_get_{name}_sdp_enabled")() for name in attention},
        "warnings": list(warnings.filters),
    }


@contextmanager
def unchanged(draws: bool = False) -> Iterator[None]:
    """Fail where something sets what belongs to the process, draws from its random state, or leaves it otherwise.

    Args:
        draws: it may draw.
    """
    calls: list[str] = []

    def counted(name: str, original: Any) -> Any:
        def setter(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        return setter

    before = state_of_process()
    ignored = {"random state"} if draws else set()
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _SETTERS:
            patch.setattr(module, name, counted(name, getattr(module, name)))
        yield
    assert not calls, f"set for the whole process: {sorted(set(calls))}"
    after = state_of_process()
    assert [name for name in before.keys() - ignored if before[name] != after[name]] == []
