"""What fine-tuning trained of a model: its weights on disk, as a standard folder, and merged into the base."""

from pathlib import Path
from typing import BinaryIO, Self

import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from llm_testing.errors import DamagedRun
from llm_testing.model.open_model import OpenModel
from llm_testing.model.tensor_files import load_tensors


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are trained, by name, shared ones once."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def write_trained(model: nn.Module, file: BinaryIO) -> None:
    """Write the trained weights in the safetensors format."""
    tensors = {name: weight.detach().contiguous() for name, weight in trained_tensors(model).items()}
    file.write(save(tensors, metadata={"format": "pt"}))


def read_trained(model: nn.Module, path: Path) -> None:
    """Load weights that `write_trained` wrote into a model with the same adapter.

    Raises:
        DamagedRun: for a file that is no safetensors, or whose tensors do not fit the model.
    """
    put_trained(model, trained_in(path), path.parent.name)


def trained_in(path: Path) -> dict[str, Tensor]:
    """The weights that `write_trained` wrote, by name.

    Raises:
        DamagedRun: for a file that is no safetensors.
    """
    return load_tensors(path, DamagedRun)


@torch.no_grad()
def put_trained(model: nn.Module, tensors: dict[str, Tensor], called: str) -> None:
    """Put weights into a model with the same adapter.

    Args:
        called: whose weights they are, for people.

    Raises:
        DamagedRun: they do not fit the model.
    """
    expected = trained_tensors(model)
    shapes, received = ({n: tuple(t.shape) for n, t in found.items()} for found in (expected, tensors))
    if shapes != received:
        name = min(n for n in shapes.keys() | received.keys() if shapes.get(n) != received.get(n))
        raise DamagedRun(
            f"The weights in {called} do not fit this model: {name} should be {shapes.get(name, 'absent')} "
            f"and is {received.get(name, 'absent')}. Base model, adapter, rank and target modules must be the same."
        )
    for name, weight in expected.items():
        weight.copy_(tensors[name])


def copied_trained(model: nn.Module) -> dict[str, Tensor]:
    """The trained weights, copied to the CPU: the model may train on."""
    return {name: weight.detach().to("cpu", copy=True) for name, weight in trained_tensors(model).items()}


class WithoutAdapter:
    """A tuned model that answers as its base does; it shares the weights, and its adapter rests meanwhile."""

    def __init__(self, model: OpenModel):
        self._model = model
        self.training = False

    def eval(self) -> Self:
        return self

    def train(self, mode: bool = True) -> Self:
        return self

    def logits_after(self, tokens: list[int], memory: dict) -> Tensor:
        """As `OpenModel.logits_after`, with a memory of its own."""
        with self._model.inner.disable_adapter():
            return self._model.logits_after(tokens, memory)


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


def peft_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write trained weights under the names that PEFT's folders have; only its magnitudes lose their last word."""
    renamed = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("inner.").replace(".default", "")
        renamed[name.removesuffix(".weight") if ".lora_magnitude_vector." in name else name] = tensor
    save_file(renamed, path, metadata={"format": "pt"})


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
