"""A GPT's weights as safetensors: shared ones are written once, and nothing else may be missing when they are read."""

from pathlib import Path
from typing import BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor

from llm_testing.errors import DamagedRun
from llm_testing.model.gpt import GPT
from llm_testing.model.tensor_files import load_tensors

_TIED = "head.weight"


def weights_of(model: GPT) -> dict[str, Tensor]:
    """The model's tensors by name, contiguous, a tied head left out."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    if model.shape.tie_embeddings:
        del tensors[_TIED]
    return tensors


def write_weights(model: GPT, file: BinaryIO) -> None:
    """Write the model's weights in the safetensors format."""
    file.write(save(weights_of(model), metadata={"format": "pt"}))


def read_weights(model: GPT, path: Path) -> None:
    """Load weights that `write_weights` wrote into a model of the same shape.

    Raises:
        DamagedRun: for a file that is no safetensors, or whose tensors do not fit the model.
    """
    tensors = load_tensors(path, DamagedRun)
    expected = {name: tuple(tensor.shape) for name, tensor in weights_of(model).items()}
    received = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != received:
        wrong = sorted(n for n in expected.keys() | received.keys() if expected.get(n) != received.get(n))
        name = wrong[0]
        raise DamagedRun(
            f"The weights in {path.parent.name} do not fit this model: {name} should be {expected.get(name, 'absent')} "
            f"and is {received.get(name, 'absent')}. Vocabulary, layers, width, context and tying must be the same."
        )
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or set(missing) - {_TIED}:
        raise DamagedRun(f"The weights in {path.parent.name} lack {', '.join(missing)}.")


def to_device(model: GPT, device: torch.device) -> GPT:
    """Move the model, keeping a tied head tied."""
    model = model.to(device)
    if model.shape.tie_embeddings:
        model.head.weight = model.token_embedding.weight
    return model


def copied(model: GPT) -> GPT:
    """A copy on the CPU in evaluation mode that shares nothing with the original, which may train on."""
    with torch.device("meta"):
        twin = GPT(model.shape)
    twin = twin.to_empty(device="cpu")
    if model.shape.tie_embeddings:
        twin.head.weight = twin.token_embedding.weight
    twin.load_state_dict(model.state_dict())
    return twin.eval()


def num_bytes(model: GPT) -> int:
    """What the model's weights take, shared ones once."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())
