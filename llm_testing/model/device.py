"""Which device trains, what it can do, and what to record about it."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version

import torch

from llm_testing.config.presets import Machine
from llm_testing.errors import ConfigError, Problem
from llm_testing.model.kernels import KERNELS, can_train

_RECORDED = ("torch", "transformers", "tokenizers", "tiktoken", "safetensors", "numpy", "bitsandbytes", "peft",
             "liger-kernel")  # fmt: skip
CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"
"""Where PyTorch keeps its builds for CUDA 13.0; PyPI's build for Windows is for CPUs only."""
Device = torch.device
CardIsFull = torch.OutOfMemoryError
"""Names of torch's for those who do without it."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype_of(precision: str) -> torch.dtype:
    """The torch dtype of an option's precision."""
    return _DTYPES[precision]


def find_device(name: str) -> torch.device:
    """The device that an option's name means here.

    Raises:
        ConfigError: for a device that this machine, or this build of torch, does not have.
    """
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if cards else "mps" if torch.backends.mps.is_available() else "cpu")
    if name.startswith("cuda"):
        index = int(re.sub(r"\D", "", name) or 0)
        if index >= cards:
            built = "" if torch.backends.cuda.is_built() else " This build of torch is for CPUs only."
            there = ", ".join([*(f"cuda:{i}" for i in range(cards)), "cpu"])
            raise ConfigError([Problem("device", f"There is no {name} here.{built} There is {there}.")])
        return torch.device(f"cuda:{index}")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError([Problem("device", "There is no Apple GPU (mps) here. Take cpu, or auto.")])
    return torch.device(name)


def card_memory(device: torch.device) -> tuple[str, int, bool, tuple[int, int]]:
    """A card's name, its free bytes, whether this process has its context there already, and its capability.

    Free is what its driver says now, and what torch has kept for this process without a tensor in it: what other
    programs hold is left out, and the context, which asking makes.
    """
    free_bytes, _ = torch.cuda.mem_get_info(device)
    free_bytes += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.get_device_name(device), free_bytes, True, torch.cuda.get_device_capability(device)


def held_memory(device: torch.device) -> int:
    """Bytes of a card in tensors of this process."""
    return torch.cuda.memory_allocated(device)


def probe_machine(cores: int, memory_bytes: int) -> Machine:
    """What a recommendation depends on, for the device that `auto` takes."""
    device = find_device("auto")
    if device.type == "cuda":
        memory_bytes = torch.cuda.get_device_properties(device).total_memory
    return Machine(device.type, memory_bytes, cores, has_fast_bf16(device))


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 products run in hardware; emulated they are several times slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # An x86 core without AVX-512 BF16 or AMX took 8 times as long in bf16 as in fp32 (AVX2 only, torch 2.13).
        return torch.backends.cpu.get_cpu_capability() != "AVX2" and _cpu_multiplies_bf16()
    return False


def _cpu_multiplies_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "amx_tile", "avx512_bf16", "bf16"))


def sdpa_kernels(device: torch.device, precision: str, head_width: int, dropout: float) -> tuple[str, ...]:
    """The attention kernels that can really run a training step here, found by running each on a tiny input."""
    q_BHTD = torch.zeros(1, 1, 8, head_width, dtype=dtype_of(precision), device=device, requires_grad=True)
    return tuple(kernel for kernel in KERNELS if can_train(kernel, q_BHTD, dropout))


def environment(device: torch.device, threads: int) -> dict:
    """What a run records of its surroundings: versions, device, threads."""
    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in _RECORDED if (found := _version(name))},
        "device": str(device),
        "device_name": device_name(device),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
    }
    if device.type == "cuda":
        facts["device_memory_bytes"] = torch.cuda.get_device_properties(device).total_memory
        facts["cuda"] = torch.version.cuda
    return facts


def device_name(device: torch.device) -> str:
    """The device in words for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else f"CPU ({platform.machine()})"


def why_no_cuda(card: str, driver: str | None) -> str | None:
    """Why torch does not use an NVIDIA card that its driver shows, and what mends it; None where it does."""
    if torch.cuda.is_available():
        return None
    release = torch.__version__.partition("+")[0]
    if torch.version.cuda is None:
        return (
            f"This machine has an {card}, but the torch that is installed here computes on CPUs only. Install the one "
            f"for CUDA and start again: pip install --force-reinstall torch=={release} --index-url {CUDA_WHEELS}"
        )
    said = f" (version {driver})" if driver else ""
    return (
        f"This machine has an {card}, but torch {release} for CUDA {torch.version.cuda} cannot use it: "
        f"its driver{said} is probably too old. Update the driver and start again."
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
