"""A training step's memory as numbers: live bytes over its events, their peak, and what they are for.

Two recordings that differ in batch size and by one layer give every step of the same kind: sizes are affine in the
batch size event by event (checked: benchmarks/estimate_speed.py and the tests), layers repeat.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from llm_testing.estimate.depth import NotRepeatable, Repeated, Repeater, same_steps
from llm_testing.estimate.recording import BACKWARD, FORWARD, TERMS, Recording, Section

CUDA_ROUNDING = 512
"""Bytes that CUDA's allocator rounds up to. Source: torch 2.13, c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize."""
BEFORE = ("weights", "states")
_WORKSPACES = TERMS.index("workspaces")


@dataclass(frozen=True)
class Peak:
    """The moment of a step with the most bytes.

    Args:
        num_bytes: all that is live then.
        terms: the same by term; they add up to num_bytes.
        section: where in the step that is.
        op: the operation whose result made it the peak.
    """

    num_bytes: int
    terms: dict[str, int]
    section: Section
    op: str


@dataclass(frozen=True)
class Step:
    """One step in steady state, of a whole model.

    Args:
        recording: its events, with sizes as they are for this batch.
        rounding: bytes that each allocation is rounded up to.
        workspaces: bytes that libraries keep throughout, beside what operations make.
    """

    recording: Recording
    rounding: int = 1
    workspaces: tuple[int, ...] = ()

    @cached_property
    def sizes(self) -> np.ndarray:
        """(A,) bytes that each allocation takes."""
        return -(-self.recording.num_bytes // self.rounding) * self.rounding

    @cached_property
    def changes(self) -> np.ndarray:
        """(E,) bytes that each event adds or takes away."""
        return np.where(self.recording.is_free, -1, 1) * self.sizes[self.recording.allocation]

    @cached_property
    def first_event(self) -> int:
        """The first event of the step itself: before it weights and optimizer states come."""
        inside = [section.stage not in BEFORE for section in self.recording.sections]
        return int(np.argmax(np.array(inside)[self.recording.event_section]))

    @cached_property
    def live(self) -> np.ndarray:
        """(E,) bytes alive after each event."""
        return np.cumsum(self.changes) + sum(self.workspaces)

    @cached_property
    def peak(self) -> Peak:
        """The step's most bytes, and what they are."""
        at = self.first_event + int(np.argmax(self.live[self.first_event :]))
        term = self.recording.term[self.recording.allocation[: at + 1]]
        by_term = np.bincount(term, weights=self.changes[: at + 1], minlength=len(TERMS))
        by_term[_WORKSPACES] += sum(self.workspaces)
        return Peak(
            int(self.live[at]),
            {name: int(num_bytes) for name, num_bytes in zip(TERMS, by_term, strict=True)},
            self.recording.sections[self.recording.event_section[at]],
            self.recording.op[self.recording.allocation[at]],
        )

    def timeline(self, num_points: int = 240) -> list[dict]:
        """Live bytes by term over the step, its peak among the points; for a chart.

        Returns:
            num_points or fewer of {"stage", "micro", "layer", "bytes": {term: bytes}}, in order.
        """
        recording, first = self.recording, self.first_event
        count = len(self.live) - first
        edges = np.unique(np.linspace(0, count, min(num_points, count) + 1).astype(int))
        # Of each stretch the highest point, so that no spike is lost.
        chosen = [first + a + int(np.argmax(self.live[first + a : first + b])) for a, b in pairwise(edges)]
        term = recording.term[recording.allocation]
        curves = [np.cumsum(np.where(term == index, self.changes, 0))[chosen] for index in range(len(TERMS))]
        curves[_WORKSPACES] = curves[_WORKSPACES] + sum(self.workspaces)
        points = []
        for place, at in enumerate(chosen):
            micro, stage, layer = recording.sections[recording.event_section[at]]
            values = {name: int(curve[place]) for name, curve in zip(TERMS, curves, strict=True)}
            points.append({"stage": stage, "micro": micro, "layer": layer, "bytes": values})
        return points


class Family:
    """Every step that differs from a traced one in batch size, depth and accumulation only.

    Args:
        smaller, larger: recordings of n and n + 1 layers (n at least 3), or of the same number, which then is the
            only one.
        batches: their batch sizes, different ones.

    Raises:
        NotRepeatable: if the two do not do the same; then only a trace of the very step helps.
    """

    def __init__(self, smaller: Recording, larger: Recording, batches: tuple[int, int]):
        self._template, self._batch = larger, batches[1]
        self._repeater = Repeater(larger)
        # Of a draft mostly the batch changes, whose depth was there before.
        self._last: Repeated | None = None
        self._deeper = larger.num_layers - smaller.num_layers
        foretold = Repeater(smaller).repeat(larger.num_layers)
        if not same_steps(foretold.recording, larger):
            raise NotRepeatable("Traces of two depths or batch sizes do not do the same.")
        growth = larger.num_bytes - foretold.recording.num_bytes
        in_batch = np.array([s.stage in FORWARD or s.stage in BACKWARD for s in larger.sections])[larger.alloc_section]
        # A list over all weights' norms grows with the layers; what batches flow through does not.
        apart = batches[1] - batches[0]
        if np.any(in_batch & (growth % apart != 0 if apart else growth != 0)):
            raise NotRepeatable("Sizes do not grow evenly with the batch.")
        self._by_batch = np.where(in_batch, growth, 0) // (apart or 1)
        self._batches = batches
        self._by_layer = np.where(in_batch, 0, growth) // max(self._deeper, 1)
        if not self._deeper and self._by_layer.any():
            raise NotRepeatable("The update's sizes depend on the batch.")
        self.num_micro = 1 + max(section.micro for section in larger.sections)
        per_layer = larger.num_parameters - smaller.num_parameters, larger.num_trainable - smaller.num_trainable
        self._per_layer = per_layer if self._deeper else (0, 0)

    def step(
        self, num_layers: int, batch_size: int, num_micro: int, rounding: int = 1, workspaces: tuple[int, ...] = ()
    ) -> Step:
        """One of them; beyond two micro-batches each does what the second does.

        Raises:
            NotRepeatable: for a depth or accumulation that these recordings do not tell.
        """
        template = self._template
        deeper = num_layers - template.num_layers
        if (deeper and not self._deeper) or min(num_micro, 2) > self.num_micro:
            raise NotRepeatable("These recordings are of another depth or have no second micro-batch.")
        if batch_size != self._batch and self._batches[0] == self._batches[1]:
            raise NotRepeatable("These recordings are of one batch size only.")
        told = self._deep(num_layers)
        num_bytes = told.recording.num_bytes + self._by_batch[told.origin] * (batch_size - self._batch)
        num_bytes = num_bytes + self._by_layer[told.origin] * deeper
        recording = _with(told, num_bytes, deeper, self._per_layer)
        return Step(one_micro(recording) if num_micro == 1 else recording, rounding, workspaces)

    def _deep(self, num_layers: int) -> Repeated:
        last = self._last
        if last is None or last.recording.num_layers != num_layers:
            last = self._last = self._repeater.repeat(num_layers)
        return last


def one_micro(recording: Recording) -> Recording:
    """The step without its second micro-batch, as it is without accumulation."""
    second = np.array([s.micro == 1 and s.stage != "update" for s in recording.sections])
    gone = second[recording.alloc_section][recording.allocation]
    dropped = second[recording.event_section] | gone
    if not dropped.any():
        return recording
    # What the first micro-batch made and the second let go of lives until the step's end.
    late = np.flatnonzero(second[recording.event_section] & ~gone)
    order = np.concatenate([np.flatnonzero(~dropped), late])
    section = recording.event_section[order].copy()
    section[len(order) - len(late) :] = recording.event_section[-1]
    return replace(
        recording,
        allocation=recording.allocation[order],
        is_free=recording.is_free[order],
        event_section=section,
    )


def _with(told: Repeated, num_bytes: np.ndarray, deeper: int, per_layer: tuple[int, int]) -> Recording:
    recording = told.recording
    return replace(
        recording,
        num_bytes=num_bytes,
        num_parameters=recording.num_parameters + deeper * per_layer[0],
        num_trainable=recording.num_trainable + deeper * per_layer[1],
    )
