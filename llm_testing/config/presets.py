"""Presets: named sets of values on top of the defaults. A preset fills what was not given; what was given wins.

Every preset trains on the built-in corpus with a tokenizer of its own, so that none needs a download.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from llm_testing.config.option import Options
from llm_testing.config.problems import shown
from llm_testing.errors import ConfigError, Problem

GIB = 2**30
_AT_HAND = {"corpus": "python-docs", "tokenizer": "bpe"}


@dataclass(frozen=True)
class Machine:
    """What a recommendation depends on.

    Args:
        device: kind of the device that `auto` takes.
        device_memory_bytes: that device's memory; on a CPU what this process may use.
        cores: CPU cores that this process may use.
        fast_bf16: the device multiplies bf16 in hardware.
    """

    device: Literal["cpu", "cuda", "mps"]
    device_memory_bytes: int
    cores: int
    fast_bf16: bool


@dataclass(frozen=True)
class Preset:
    """A named starting point; `values(machine)` are the options it sets."""

    title: str
    about: str
    values: Callable[[Machine], dict[str, Any]]


def _recommended(machine: Machine) -> dict[str, Any]:
    """The best held-out bits per byte after a few minutes.

    On two cores chosen by benchmarks/recommended.py, whose figures stand in benchmarks/LOG.md: in so little time a wide
    vocabulary, a shallow model and small batches won. What more cores and graphics cards get is scaled up from there
    and not measured.
    """
    precision = "bf16" if machine.fast_bf16 else "fp32"
    values = {**_AT_HAND, "attention_impl": "sdpa", "precision": precision, "tie_embeddings": True, "beta2": 0.99}
    if machine.device == "cpu":
        few = machine.cores < 6
        return values | {
            "config_name": "custom",
            "n_layer": 2 if few else 4,
            "n_head": 4 if few else 6,
            "n_embd": 256 if few else 384,
            "context_length": 128 if few else 256,
            "vocab_size": 8192,
            "batch_size": 4 if few else 8,
            "learning_rate": 3e-3 if few else 1.5e-3,
            "warmup_steps": 50,
            "dropout": 0.0,
            "epochs": 2 if few else 4,
        }
    large = machine.device_memory_bytes >= 7 * GIB
    return values | {
        "config_name": "small" if large else "nano",
        "vocab_size": 8192,
        "context_length": 512 if large else 256,
        "batch_size": 32 if large else 16,
        "learning_rate": 1e-3,
        "warmup_steps": 100,
        "dropout": 0.1,
        "epochs": 20,
    }


def _learning(machine: Machine) -> dict[str, Any]:
    return dict(_AT_HAND)


def _fast(machine: Machine) -> dict[str, Any]:
    return {
        **_AT_HAND,
        "vocab_size": 1024,
        "config_name": "custom",
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 128,
        "context_length": 64,
        "attention_impl": "sdpa",
        "tie_embeddings": True,
        "dropout": 0.0,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "warmup_steps": 20,
        "beta2": 0.99,
        "max_steps": 500,
        "precision": "bf16" if machine.fast_bf16 else "fp32",
    }


def _sixteen_gb(machine: Machine) -> dict[str, Any]:
    return {
        **_AT_HAND,
        "vocab_size": 16_384,
        "config_name": "medium",
        "attention_impl": "sdpa",
        "precision": "bf16",
        "tie_embeddings": True,
        "batch_size": 8,
        "grad_accum_steps": 4,
        "learning_rate": 6e-4,
        "beta2": 0.95,
        "warmup_steps": 200,
        "dropout": 0.1,
        "epochs": 10,
    }


PRESETS = {
    "recommended": Preset("Recommended", "What learns most in the first minutes on this machine.", _recommended),
    "learning": Preset("Learning", "The plain defaults: manual attention, fp32; small, slow and readable.", _learning),
    "fast": Preset("Fast", "A tiny model that is done within a minute or two, to see everything once.", _fast),
    "16gb": Preset("16 GB", "A GPT-2 sized model that uses a 16 GB graphics card well.", _sixteen_gb),
}


def preset_values(preset: str | None, machine: Machine, config_class: type[Options]) -> dict[str, Any]:
    """The values that a preset sets, limited to the options config_class has; None and "none" set nothing.

    Raises:
        ConfigError: for a name that is no preset.
    """
    if preset is None or preset == "none":
        return {}
    if preset not in PRESETS:
        names = ", ".join([*PRESETS, "none"])
        raise ConfigError([Problem("preset", f"There is no preset {shown(preset)}. There are {names}.")])
    values = PRESETS[preset].values(machine)
    return {name: value for name, value in values.items() if name in config_class.model_fields}


def filled(preset: str | None, given: dict[str, Any], machine: Machine, config_class: type[Options]) -> dict[str, Any]:
    """Given values on top of a preset's; a given null counts as not given.

    A named size that was given drops the preset's own layers, heads and width, which belong to custom models alone.
    """
    given = {name: value for name, value in given.items() if value is not None}
    values = preset_values(preset, machine, config_class)
    if given.get("config_name", "custom") != "custom":
        for name in ("n_layer", "n_head", "n_embd", "context_length"):
            values.pop(name, None)
    if given.get("attention_impl") == "manual":
        values.pop("sdpa_kernel", None)
    return values | given
