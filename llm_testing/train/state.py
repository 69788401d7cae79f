"""Where a run stands, as plain numbers: what a checkpoint must keep besides weights, optimizer and scaler.

There is no random state and no data position to keep: dropout masks and the order of the data are functions of the
seed and the step.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

import torch

from llm_testing.errors import DamagedRun
from llm_testing.train.step import TrainingStep

FORMAT = 1


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
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 torch raises anything from RuntimeError to UnpicklingError here
        reason = str(error).splitlines()[0]
        raise DamagedRun(f"The state in {path.parent.name} cannot be read: {reason}.") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DamagedRun(
            f"The state in {path.parent.name} has another format than {FORMAT}, written by another version."
        )
    return state


def load_optimizer(training: TrainingStep, state: dict, optimizer_name: str) -> bool:
    """Continue with the saved optimizer; False where the saved one is of another kind and was left out."""
    if state["optimizer_name"] != optimizer_name:
        return False
    training.optimizer.load_state_dict(state["optimizer"])
    return True


def standing_of(state: dict) -> Standing:
    """The counters in a saved state."""
    known = {f.name for f in fields(Standing)}
    return Standing(**{name: value for name, value in state["standing"].items() if name in known})
