"""The open models that are offered by name, as data (models.json), with what an estimate needs to know of each."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("models.json")

TARGETS = {
    "llama": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "mistral": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "qwen2": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "qwen3": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "gemma3_text": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "phi3": ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
    "gpt2": ("c_attn", "c_proj", "c_fc"),
}
"""Linear layers of a block that get an adapter, by model_type: all of them, as in the QLoRA paper, section 4."""


@dataclass(frozen=True)
class KnownModel:
    """A model of the list.

    Args:
        same_config: other Hub ids with the same config: mirrors, and the base of an instruct model.
        family: transformers' model_type.
        num_parameters: computed from the config; shared weights once.
        config: the facts of its config.json that sizes and shapes follow from.
        source: where they were read.
        unchecked: names of those that the source does not say.
    """

    name: str
    hf_id: str
    same_config: tuple[str, ...]
    family: str
    num_parameters: int
    recommended_max_seq: int
    recommended_lora_r: int
    tags: tuple[str, ...]
    source: str
    unchecked: tuple[str, ...]
    config: dict[str, Any]

    @property
    def params_billion(self) -> float:
        return round(self.num_parameters / 1e9, 3)

    @property
    def recommended(self) -> dict[str, Any]:
        """The options that picking this model fills in."""
        rank = self.recommended_lora_r
        return {"max_seq_length": self.recommended_max_seq, "lora_r": rank, "lora_alpha": rank}


@cache
def known_models() -> tuple[KnownModel, ...]:
    """The list, in its order."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(
        KnownModel(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
        for row in rows
    )


def find_model(name: str) -> KnownModel | None:
    """The model of the list that a name or Hub id means, upper and lower case alike."""
    wanted = name.lower()
    for model in known_models():
        if wanted in (model.name.lower(), model.hf_id.lower()):
            return model
    return None


def known_config(name: str) -> dict[str, Any] | None:
    """The config of a model by its name or Hub id, mirrors too."""
    wanted = name.lower()
    for model in known_models():
        if wanted in {i.lower() for i in (model.name, model.hf_id, *model.same_config)}:
            return model.config
    return None
