"""Estimates of a run's memory before it starts, by tracing in the worker and repeating from memory.

One trace serves every batch size, depth and accumulation of the same model, options and context: those answer at once.
Anything else is traced anew. What was traced is kept, the least recently used going first.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.estimate.allocator import reserve
from llm_testing.estimate.budget import Budget, verdict_of
from llm_testing.estimate.depth import NotRepeatable
from llm_testing.estimate.jobs import AskCounts, AskModel, Job, ModelFacts, WarmUp, counts_question, model_text
from llm_testing.estimate.recording import Recording
from llm_testing.estimate.result import Estimate
from llm_testing.estimate.step import CUDA_ROUNDING, Family, Step
from llm_testing.estimate.worker import Worker

KEPT = 64
"""Traces remembered; each is some hundred kilobytes."""
MISSING = object()
TRACED_LAYERS = (3, 4)
Traced = Family | Recording | ModelFacts | None
"""What traces give; None for a family whose traces do not repeat."""
THRESHOLDS = {"cuda": (3072,), "cpu": ()}
"""Tokens a micro-batch beyond which a kernel works differently, so that sizes on both sides are no straight line.

Source: torch 2.13, aten/src/ATen/native/cuda/Embedding.cu: beyond 3,072 positions an embedding's gradient is sorted.
"""


class Estimator:
    """Answers how much memory a run takes; safe to call from several threads.

    Args:
        worker: the process that traces; by default one of its own, started with the first estimate.
    """

    def __init__(self, worker: Worker | None = None):
        self._worker = worker or Worker()
        self._traces: OrderedDict[Any, Traced] = OrderedDict()
        self._on_the_way: dict[Any, Future] = {}
        # Around the dictionary alone: what is remembered answers while something else is traced.
        self._guard = threading.Lock()

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def warm_up(self) -> None:
        """Have the worker ready, which takes seconds, before somebody waits."""
        self._worker.trace(WarmUp())

    def model(self, values: dict[str, Any]) -> ModelFacts:
        """What a model's config.json says of it.

        Raises:
            ConfigError: for one that transformers does not know.
            TraceFailed: if it cannot be read at all.
        """
        return self._answer(AskModel(model_text(values)))

    def counts(self, values: dict[str, Any], config: FinetuneConfig) -> tuple[int, int]:
        """Numbers in a model with its adapter, and those that are trained.

        Raises:
            ConfigError: for options that do not suit the model.
            TraceFailed: if it cannot be read at all.
        """
        return self._answer(counts_question(values, config))

    def estimate(self, job: Job, budget: Budget, quick: bool = False, background: bool = False) -> Estimate:
        """The memory of a run's step, and whether it fits the budget.

        Args:
            job: the whole step, on the budget's kind of device.
            quick: leave out the allocator's simulation; reserved and minimum are None then, the verdict a likely one.
            background: nobody waits for this one alone; others are traced first.

        Raises:
            ConfigError: for options that do not suit the model.
            TraceFailed: if the step cannot be traced.
        """
        began = time.perf_counter()
        step, method = self.step(job, budget, background)
        peak = step.peak
        if budget.device == "cpu":
            # There is no pool: what is freed goes back.
            reserved = minimum = peak.num_bytes
        elif quick:
            reserved = minimum = None
        else:
            found = reserve(step)
            reserved, minimum = found.reserved_bytes, found.minimum_bytes
        return Estimate(
            verdict=verdict_of(budget, reserved or peak.num_bytes, minimum or peak.num_bytes),
            certain=reserved is not None or peak.num_bytes + budget.context_bytes > budget.free_bytes,
            budget=budget,
            allocated_bytes=peak.num_bytes,
            reserved_bytes=reserved,
            minimum_bytes=minimum,
            context_bytes=budget.context_bytes,
            terms=peak.terms,
            num_parameters=step.recording.num_parameters,
            num_trainable=step.recording.num_trainable,
            seconds=time.perf_counter() - began,
            method=method,
            peak_stage=peak.section.stage,
            peak_op=peak.op,
            timeline=tuple(step.timeline()),
        )

    def step(self, job: Job, budget: Budget, background: bool = False) -> tuple[Step, str]:
        """The step itself and how it was found: "repeated" from few layers, or "traced" whole."""
        rounding = CUDA_ROUNDING if budget.device == "cuda" else 1
        # What the second micro-batch does, each further one does too.
        job = replace(job, num_micro=min(job.num_micro, 2))
        try:
            family, units = self._family(job, background)
            return family.step(units, job.batch_size, job.num_micro, rounding, budget.workspaces), "repeated"
        except NotRepeatable:
            return Step(self._recording(job, background), rounding, budget.workspaces), "traced"

    def _family(self, job: Job, background: bool) -> tuple[Family, int]:
        """The traces from which this job's step follows, and its number of units.

        Raises:
            NotRepeatable: where only a trace of the very step helps.
        """
        batches = batch_pair(job.batch_size, job.window, THRESHOLDS[job.device])
        units = max(job.num_layers // job.period, 1)
        few = TRACED_LAYERS if units > TRACED_LAYERS[0] else (units, units)
        family = MISSING
        for num_micro in range(job.num_micro, 3):
            # Traces of two micro-batches tell what one does; the other way round they do not.
            family = self._recall((job.family(), batches, few, num_micro)) if family is MISSING else family
        if family is MISSING:
            key = (job.family(), batches, few, job.num_micro)
            family = self._once(key, lambda: self._traced(job, few, batches, background))
        if family is None:
            raise NotRepeatable("Traces of this kind do not repeat.")
        return family, units

    def _traced(self, job: Job, units: tuple[int, int], batches: tuple[int, int], background: bool) -> Family | None:
        smaller, larger = (job.at(n, b) for n, b in zip(units, batches, strict=True))
        if smaller == larger:
            return Family(*(self._recording(job, background),) * 2, batches)
        try:
            return Family(self._worker.trace(smaller, background), self._worker.trace(larger, background), batches)
        except NotRepeatable:
            return None

    def _recording(self, job: Job, background: bool) -> Recording:
        key = (job.family(), job.num_layers, job.batch_size, job.num_micro)
        return self._once(key, lambda: self._worker.trace(job, background))

    def _once(self, key: Any, make: Callable[[], Traced]) -> Traced:
        """What is remembered under a key, else what make gives: whoever asks meanwhile gets the same."""
        with self._guard:
            if key in self._traces:
                self._traces.move_to_end(key)
                return self._traces[key]
            answer = self._on_the_way.get(key)
            first = answer is None
            if first:
                answer = self._on_the_way[key] = Future()
        if not first:
            return answer.result()
        try:
            value = make()
            self._remember(key, value)
            answer.set_result(value)
            return value
        except BaseException as error:
            answer.set_exception(error)
            raise
        finally:
            with self._guard:
                del self._on_the_way[key]

    def _answer(self, question: AskModel | AskCounts) -> Any:
        return self._once(question, lambda: self._worker.trace(question))

    def _recall(self, key: Any) -> Any:
        with self._guard:
            if key in self._traces:
                self._traces.move_to_end(key)
            return self._traces.get(key, MISSING)

    def _remember(self, key: Any, value: Traced) -> None:
        with self._guard:
            self._traces[key] = value
            while len(self._traces) > KEPT:
                self._traces.popitem(last=False)


def batch_pair(batch_size: int, window: int, thresholds: tuple[int, ...]) -> tuple[int, int]:
    """Two batch sizes to trace, between which and this one every size lies on one straight line.

    A batch of 1 is avoided where that is possible: dimensions of 1 make some tensors contiguous by accident.
    """
    below = max([t for t in thresholds if batch_size * window > t], default=0)
    above = min([t for t in thresholds if batch_size * window <= t], default=None)
    least = below // window + 1
    most = above // window if above is not None else None
    first = max(least, 2)
    if most is not None and first + 1 > most:
        first = least
    return (first, first + 1) if most is None or first + 1 <= most else (batch_size, batch_size)
