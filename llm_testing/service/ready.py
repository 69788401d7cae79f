"""What each kind of run makes ready before its loop begins; the job does the rest for all of them alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llm_testing.estimate.budget import Budget
from llm_testing.estimate.result import Estimate
from llm_testing.train.events import Event
from llm_testing.train.loop import TrainingRun
from llm_testing.train.state import Snapshot

Emit = Callable[[Event], None]
Save = Callable[[Snapshot], bool]


@dataclass(frozen=True)
class Ready:
    """A session whose data is at hand.

    Args:
        data: the data's fingerprint and counts, for run.json.
        num_parameters, num_trainable: of the model.
        total_steps: the run's length.
        warnings: sentences for the user.
        open: builds model, optimizer and standing; also gives more sentences.
        refuse: refuses, without a trace, what certainly does not fit into so many free bytes of main memory.
        estimate: of the step's memory; None where this kind of run has none.
        held_bytes: what of the model is in memory already, which the estimate counts too.
        record: more of run.json.
        finish: after the last step: what is written beside the checkpoints.
    """

    data: dict[str, Any]
    num_parameters: int
    num_trainable: int
    total_steps: int
    warnings: tuple[str, ...]
    open: Callable[[Emit, Save], tuple[TrainingRun, list[str]]]
    refuse: Callable[[int], None] = lambda free_bytes: None
    estimate: Callable[[Budget], Estimate] | None = None
    held_bytes: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[TrainingRun], None] = lambda run: None
