"""What an estimate says."""

from dataclasses import dataclass
from typing import Any, Literal

from llm_testing.estimate.budget import Budget, Verdict

CONTRACT = (
    *("verdict", "allocated_bytes", "reserved_bytes", "minimum_bytes", "context_bytes", "terms"),
    *("num_parameters", "num_trainable", "seconds"),
)
"""Keys of `estimate --json`, which scripts rely on."""


@dataclass(frozen=True)
class Estimate:
    """The memory that a run's step takes.

    Args:
        verdict: fits, tight (only if the allocator gives back what it caches), or exceeds.
        certain: False while the verdict is a likely one, reserved bytes not being known yet.
        budget: what it was held against.
        allocated_bytes: the step's most live bytes, workspaces included.
        reserved_bytes: what the allocator takes from the card for that; None in a quick estimate.
        minimum_bytes: the least with which the step still runs; None in a quick estimate.
        context_bytes: what the process takes beside; 0 on the CPU.
        terms: allocated_bytes by what they are for (`recording.TERMS`), at the moment of the peak.
        num_parameters, num_trainable: counts, shared ones once.
        seconds: that the estimate took.
        method: "repeated" from a trace of few layers, or "traced" whole.
        peak_stage, peak_op: the part of the step with the peak, and the operation that makes it.
        timeline: live bytes by term over the step (`step.Step.timeline`).
    """

    verdict: Verdict
    certain: bool
    budget: Budget
    allocated_bytes: int
    reserved_bytes: int | None
    minimum_bytes: int | None
    context_bytes: int
    terms: dict[str, int]
    num_parameters: int
    num_trainable: int
    seconds: float
    method: Literal["repeated", "traced"]
    peak_stage: str
    peak_op: str
    timeline: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """What --json prints: the contract's keys first, then the rest."""
        rest = {
            "certain": self.certain,
            "budget": self.budget.name,
            "free_bytes": self.budget.free_bytes,
            "device": self.budget.device,
            "method": self.method,
            "peak_stage": self.peak_stage,
            "peak_op": self.peak_op,
        }
        return {name: getattr(self, name) for name in CONTRACT} | rest

    def as_record(self) -> dict[str, Any]:
        """What a run's folder keeps: the same without the time that it took."""
        return {name: value for name, value in self.as_dict().items() if name != "seconds"}
