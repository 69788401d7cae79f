"""Where a run stands, as plain numbers: what a checkpoint must keep besides weights, optimizer and scaler.

There is no random state and no data position to keep: dropout masks and the order of the data are functions of the
seed and the step.
"""

import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

import torch

from llm_testing.config.foreign import Format, printable, reading
from llm_testing.errors import DamagedRun
from llm_testing.store.zips import ZIP, open_zip
from llm_testing.train.step import TrainingStep

FORMAT = 1
STATE = Format(
    # What torch and the unpickling that it allows raise, and what a state of other things than ours leads to.
    (*ZIP.errors, pickle.UnpicklingError, KeyError, AttributeError, TypeError, IndexError, AssertionError),
    "Use an earlier checkpoint of this run.",
    apart=(torch.OutOfMemoryError,),
)
_MOST_PARTS = 200_000


@dataclass
class Standing:
    """The loop's counters.

    Args:
        step: updates done.
        boundary_done: what is due at this step (validation, sample, log line) has been done.
        loss_sum, loss_count: training losses since the last logged point.
        best_val_loss, best_step: of the intermediate validations.
        validations_without_gain: in a row, for early stopping.
        last_val_loss: of the newest intermediate validation.
        general_loss: of the general text when the run began, in nats a token; None where it is not measured.
    """

    step: int = 0
    boundary_done: bool = False
    tokens_seen: int = 0
    elapsed_s: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    best_val_loss: float | None = None
    best_step: int | None = None
    validations_without_gain: int = 0
    last_val_loss: float | None = None
    ended_early: bool = False
    general_loss: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint to be written, taken at a step boundary.

    Args:
        kinds: why it is written: "rolling", "best", "periodic", "final".
        facts: small numbers for lists of checkpoints.
        files: a writer for each file; they read live tensors, so they must run before the next step.
    """

    step: int
    kinds: tuple[str, ...]
    facts: dict
    files: dict[str, Callable[[BinaryIO], None]]


def write_state(standing: Standing, training: TrainingStep, optimizer_name: str, file: BinaryIO) -> None:
    """Write everything but the weights, in a form that loads with weights_only=True."""
    state = {
        "format": FORMAT,
        "optimizer_name": optimizer_name,
        "optimizer": training.optimizer.state_dict(),
        "guard": training.state(),
        "standing": asdict(standing),
    }
    torch.save(state, file)


def read_state(path: Path) -> dict:
    """What `write_state` wrote, on the CPU.

    Raises:
        DamagedRun: for a file that is not such a state.
    """
    with reading(_name(path), STATE, DamagedRun):
        with open_zip(path, _name(path), _MOST_PARTS, STATE, DamagedRun) as archive:
            # torch takes memory for what the directory says, which it never packs: so it cannot be more than the file.
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise ValueError("its parts would be larger than it is")
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DamagedRun(
            f"The state in {path.parent.name} has another format than {FORMAT}, written by another version."
        )
    return state


def go_on_from(training: TrainingStep, path: Path, optimizer_name: str, with_guard: bool) -> tuple[Standing, str]:
    """Continue with what a checkpoint's state keeps; a saved optimizer of another kind is left out.

    Args:
        with_guard: take the loss scaler and the count of skipped updates too.

    Returns:
        The counters, and the name of the saved optimizer.

    Raises:
        DamagedRun: for a file that is not such a state.
    """
    state = read_state(path)
    with reading(_name(path), STATE, DamagedRun):
        standing, saved_name = _standing_of(state["standing"]), state["optimizer_name"]
        if saved_name == optimizer_name:
            training.optimizer.load_state_dict(state["optimizer"])
        if with_guard:
            training.load_state(state["guard"])
    return standing, printable(str(saved_name), 60)


def _standing_of(saved: dict) -> Standing:
    types = {f.name: f.type for f in fields(Standing)}
    known = {name: value for name, value in saved.items() if name in types}
    for name, value in known.items():
        if not isinstance(value, types[name] if types[name] is not float else float | int):
            raise ValueError(f"its {name} is of the type {type(value).__name__}")
    standing = Standing(**known)
    if min(standing.step, standing.tokens_seen) < 0:
        raise ValueError(f"it stands at step {standing.step} after {standing.tokens_seen} tokens")
    return standing


def _name(path: Path) -> str:
    return f"{path.name} of {path.parent.name}"
