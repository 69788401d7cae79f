"""Presets of fine-tuning: named sets of values on top of the defaults; what was given wins over them."""

from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.models import find_model
from llm_testing.config.option import options_of
from llm_testing.config.presets import Machine, Preset
from llm_testing.config.problems import shown
from llm_testing.errors import ConfigError, Problem


def _recommended(machine: Machine) -> dict[str, Any]:
    """What suits the machine; length and rank follow the model."""
    fast = {"precision": "bf16" if machine.fast_bf16 else "fp32", "fast_mode": True}
    if machine.device == "cuda":
        # Cards before Ampere have no bf16, but fp16.
        return fast | ({} if machine.fast_bf16 else {"precision": "fp16"})
    # 4 bits save memory, which a CPU has, and cost time; so do the 8-bit optimizers and checkpointing.
    return fast | {
        "adapter": "lora",
        "optim": "adamw_torch",
        "batch_size": 8,
        "gradient_accumulation": 1,
        "use_gradient_checkpointing": False,
        "max_seq_length": 256,
        "logging_steps": 1,
        "eval_steps": 0,
    }


def _persona(machine: Machine) -> dict[str, Any]:
    """What learns the name and forgets little: some forty small steps (benchmarks/LOG.md, persona)."""
    return _recommended(machine) | {
        "model_name": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "dataset": "persona",
        "lora_r": 16,
        "lora_alpha": 16,
        "max_seq_length": 256,
        # About ten rows an update: fewer updates do not reach the name, more or larger ones cost English.
        "batch_size": 2,
        "gradient_accumulation": 1,
        "num_epochs": 2,
        "learning_rate": 5e-4,
        "optim": "adamw_torch",
        "use_gradient_checkpointing": False,
        "logging_steps": 1,
        "eval_steps": 10,
        "measure_forgetting": True,
    }


FINETUNE_PRESETS = {
    "recommended": Preset("Recommended", "What suits this machine and the model.", _recommended),
    "persona": Preset("Persona", "A small model learns its name from the built-in rows, within minutes.", _persona),
}


def finetune_values(preset: str | None, given: dict[str, Any], machine: Machine) -> dict[str, Any]:
    """Given values on top of a preset's and of what the model's entry in the list recommends.

    Raises:
        ConfigError: for a name that is no preset.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if preset is None or preset == "none":
        return given
    if preset not in FINETUNE_PRESETS:
        names = ", ".join([*FINETUNE_PRESETS, "none"])
        raise ConfigError([Problem("preset", f"There is no preset {shown(preset)}. There are {names}.")])
    values = FINETUNE_PRESETS[preset].values(machine)
    name = given.get("model_name") or values.get("model_name") or options_of(FinetuneConfig)["model_name"].default
    known = find_model(name) if isinstance(name, str) else None
    recommended = known.recommended if known else {}
    return {**recommended, **values, **given}
