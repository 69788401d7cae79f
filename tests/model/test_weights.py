from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from llm_testing.config.shapes import Shape
from llm_testing.errors import DamagedRun
from llm_testing.model.gpt import build_gpt
from llm_testing.model.weights import read_weights, to_device, write_weights

TIED = Shape(2, 2, 16, 12, 23, True, False)


def written(model, path):
    with path.open("wb") as file:
        write_weights(model, file)
    return path


@pytest.mark.parametrize("tied", [True, False])
def test_weights_survive_the_disk_and_tied_ones_are_there_once(tmp_path, tied):
    shape = replace(TIED, tie_embeddings=tied)
    path = written(build_gpt(shape, 1), tmp_path / "model.safetensors")
    other = build_gpt(shape, 2)
    read_weights(other, path)
    assert all(torch.equal(a, b) for a, b in zip(build_gpt(shape, 1).parameters(), other.parameters(), strict=True))
    with safe_open(path, "pt") as file:
        assert ("head.weight" in file.keys()) is not tied
    moved = to_device(other, torch.device("cpu"))
    assert (moved.head.weight is moved.token_embedding.weight) is tied


def test_weights_of_another_shape_are_refused_by_name(tmp_path):
    path = written(build_gpt(TIED, 1), tmp_path / "model.safetensors")
    with pytest.raises(DamagedRun, match="token_embedding.weight should be .24, 16. and is .23, 16."):
        read_weights(build_gpt(replace(TIED, vocab_size=24), 1), path)


def test_a_cut_file_is_refused(tmp_path):
    path = written(build_gpt(TIED, 1), tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedRun, match="cannot be read"):
        read_weights(build_gpt(TIED, 1), path)
