"""What transformers and tokenizers raise for a model's files that are damaged, and configs that describe no model."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig
from transformers.initialization import no_init_weights

from llm_testing.config.foreign import Format, printable
from llm_testing.errors import DamagedFile

_OF_TRANSFORMERS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RuntimeError, ImportError,
    AssertionError, StrictDataclassError, SafetensorError,
)  # fmt: skip
MODEL = Format(_OF_TRANSFORMERS, "Download the model again, or choose another.", apart=(torch.OutOfMemoryError,))
# The library tokenizers raises a bare Exception for JSON that is none of its own.
TOKENIZER = Format(_OF_TRANSFORMERS, "Download the model again, or choose another.", exact=(Exception,))
MOST_LAYERS = 4096
"""Of layers, experts and their like; the largest models have hundreds."""
_COUNT = re.compile(r"(num|n)_(\w+_)?(layers?|blocks?|experts?)|(\w+_)?depth")
_PACKED = 16
"""How many numbers of a model one stored number may hold: some formats pack weights of two bits."""
_ROOM = 1 << 20


def refuse_counts(values: dict[str, Any]) -> None:
    """Refuse a config whose layers alone would fill the memory, before anything is made of it.

    Raises:
        ValueError: naming the entry.
    """
    for name, count in _named_numbers(values):
        if _COUNT.fullmatch(name) and not 0 <= count <= MOST_LAYERS:
            raise ValueError(f"{name} is {printable(str(count), 30)}, and 0 to {MOST_LAYERS:,} are read")


def _named_numbers(values: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _named_numbers(value)
        elif isinstance(value, int):
            yield name, value


def refuse_lies(config: PreTrainedConfig, num_stored: int, name: str) -> None:
    """Refuse a config of a model that is much larger than the weights that came with it, before it takes memory.

    Args:
        num_stored: numbers in the weights.

    Raises:
        DamagedFile.
    """
    with no_init_weights(), torch.device("meta"):
        skeleton: nn.Module = AutoModelForCausalLM.from_config(config)
        skeleton.tie_weights()
    num_described = sum(weight.numel() for weight in skeleton.parameters())
    if num_described > num_stored * _PACKED + _ROOM:
        raise DamagedFile(
            f"{name} describes a model of {num_described:,} numbers, but its weights have {num_stored:,}. "
            f"{MODEL.remedy}"
        )


def refuse_missing(missing: set[str] | list[str], name: str) -> None:
    """Refuse weights that lack a tensor: transformers draws it at random.

    Raises:
        DamagedFile.
    """
    if missing:
        names = sorted(missing)
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        raise DamagedFile(f"The weights of {name} lack {printable(names[0], 80)}{more}. {MODEL.remedy}")
