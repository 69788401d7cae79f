"""The state of a checkpoint that came from elsewhere: a run goes on from it, or it is refused by its name."""

import io
import os
import pickle
import struct
import zipfile

import pytest
import torch

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import DamagedRun
from llm_testing.train.optim import build_optimizer
from llm_testing.train.session import Start, standing_at
from llm_testing.train.state import Standing, read_state, write_state
from llm_testing.train.step import TrainingStep
from tests.damage import MANY, at_most_bytes, damaged, outcomes

CONFIG = PretrainConfig.build({"optimizer": "adamw"})
CPU = torch.device("cpu")


def training() -> TrainingStep:
    model = torch.nn.Linear(3, 4)
    made = TrainingStep(model, build_optimizer(model, CONFIG), CONFIG, CPU)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    made.optimizer.step()
    made.grad_norm = torch.tensor(1.0)
    return made


@pytest.fixture(scope="module")
def whole() -> bytes:
    file = io.BytesIO()
    write_state(Standing(step=3, tokens_seen=99), training(), CONFIG.optimizer, file)
    return file.getvalue()


@pytest.fixture
def go_on(tmp_path):
    """Continues from a state of these bytes."""
    checkpoint = tmp_path / "step-00000003"
    checkpoint.mkdir()

    def given(data: bytes):
        (checkpoint / "state.pt").write_bytes(data)
        standing, _ = standing_at(training(), CONFIG, Start(checkpoint))
        assert isinstance(standing.step, int) and standing.step >= 0
        return standing

    return given


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def changed(whole: bytes, **values: object) -> bytes:
    state = torch.load(io.BytesIO(whole), weights_only=True)
    return saved({**state, **values})


def without(whole: bytes, name: str) -> bytes:
    state = torch.load(io.BytesIO(whole), weights_only=True)
    del state[name]
    return saved(state)


def lying(whole: bytes, size: int) -> bytes:
    """A state whose first tensor is said to be so large in the directory of its zip."""
    data, place = bytearray(whole), whole.index(b"PK\1\2", whole.index(b"PK\1\2") + 1)
    data[place + 20 : place + 28] = struct.pack("<LL", size, size)
    return bytes(data)


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("state/data.pkl", b"\x80\x02}q\x00." + bytes(300 * 2**20))
        archive.writestr("state/version", b"3\n")
        archive.writestr("state/byteorder", b"little")
    return file.getvalue()


BAD = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "text": lambda whole: b"hello" * 99,
    "a pickle that runs code": lambda whole: b"\x80\x04cposix\nsystem\n(S'true'\ntR.",
    "a plain pickle": lambda whole: pickle.dumps({"format": 1}),
    "a list": lambda whole: saved([1]),
    "another format": lambda whole: changed(whole, format=2),
    "no standing": lambda whole: without(whole, "standing"),
    "no optimizer": lambda whole: without(whole, "optimizer"),
    "no name of the optimizer": lambda whole: without(whole, "optimizer_name"),
    "no guard": lambda whole: without(whole, "guard"),
    "a standing that is a list": lambda whole: changed(whole, standing=[1]),
    "a step that is text": lambda whole: changed(whole, standing={"step": "3"}),
    "a step below 0": lambda whole: changed(whole, standing={"step": -1}),
    "a loss that is a list": lambda whole: changed(whole, standing={"loss_sum": [1.0]}),
    "an optimizer that is text": lambda whole: changed(whole, optimizer="adamw"),
    "an optimizer of other groups": lambda whole: changed(whole, optimizer={"state": {}, "param_groups": []}),
    "a guard that is text": lambda whole: changed(whole, guard="x"),
    "a guard of texts": lambda whole: changed(whole, guard={"grad_norm": "x", "skipped": "y", "skipped_in_a_row": 0}),
    "a tensor of 4 GiB that is not there": lambda whole: lying(whole, 2**32 - 2),
    "a bomb": lambda whole: bomb(),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_state_is_refused_by_its_name(whole, go_on, name):
    data = BAD[name](whole)
    with at_most_bytes(100 * 2**20), pytest.raises(DamagedRun, match="step-00000003") as refusal:
        go_on(data)
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize("count", MANY)
def test_no_damage_to_a_state_raises_anything_but_a_refusal(whole, go_on, count):
    assert go_on(whole) == Standing(step=3, tokens_seen=99)
    _, refused = outcomes(go_on, damaged(whole, count), DamagedRun)
    assert refused > count // 4


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "state.pt")
    with pytest.raises(DamagedRun, match="no regular file"):
        read_state(tmp_path / "state.pt")
