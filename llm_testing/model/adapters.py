"""What fine-tuning trained of a model: its weights on disk, as a standard folder, and merged into the base."""

from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from llm_testing.errors import DamagedRun
from llm_testing.model.open_model import OpenModel


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are trained, by name, shared ones once."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def write_trained(model: nn.Module, file: BinaryIO) -> None:
    """Write the trained weights in the safetensors format."""
    tensors = {name: weight.detach().contiguous() for name, weight in trained_tensors(model).items()}
    file.write(save(tensors, metadata={"format": "pt"}))


@torch.no_grad()
def read_trained(model: nn.Module, path: Path) -> None:
    """Load weights that `write_trained` wrote into a model with the same adapter.

    Raises:
        DamagedRun: for a file that is no safetensors, or whose tensors do not fit the model.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedRun(f"The weights in {path.name} of {path.parent.name} cannot be read: {error}.") from None
    expected = trained_tensors(model)
    shapes, received = ({n: tuple(t.shape) for n, t in found.items()} for found in (expected, tensors))
    if shapes != received:
        name = min(n for n in shapes.keys() | received.keys() if shapes.get(n) != received.get(n))
        raise DamagedRun(
            f"The weights in {path.parent.name} do not fit this model: {name} should be {shapes.get(name, 'absent')} "
            f"and is {received.get(name, 'absent')}. Base model, adapter, rank and target modules must be the same."
        )
    for name, weight in expected.items():
        weight.copy_(tensors[name])


def save_model(model: OpenModel, folder: Path, base_name: str) -> None:
    """Write the adapter as a PEFT folder, or a model that was tuned whole as a transformers folder.

    Args:
        base_name: what the adapter's config names as its base.
    """
    if model.inner is model.causal:
        model.inner.save_pretrained(str(folder))
        return
    config = model.inner.peft_config["default"]
    before, config.base_model_name_or_path = config.base_model_name_or_path, base_name
    try:
        model.inner.save_pretrained(str(folder), save_embedding_layers=False)
    finally:
        config.base_model_name_or_path = before


def merge(model: OpenModel) -> nn.Module:
    """The base model with the adapter's changes in its weights; the model given is used up."""
    return model.inner if model.inner is model.causal else model.inner.merge_and_unload(safe_merge=True)


def counts(model: nn.Module) -> tuple[int, int]:
    """Numbers in all and those that are trained; a 4-bit weight counts as the numbers it stands for."""
    total = trained = 0
    for weight in model.parameters():
        state = getattr(weight, "quant_state", None)
        num = state.shape.numel() if state is not None else weight.numel()
        total += num
        trained += num if weight.requires_grad else 0
    return total, trained
