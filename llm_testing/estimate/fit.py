"""What to change so that a run fits: the fastest ways that keep the model, the context and the effective batch.

And the other way round: the largest model, context or batch that fits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.shapes import SIZES
from llm_testing.estimate.allocator import reserves_within
from llm_testing.estimate.budget import CPU_SHARE, Budget
from llm_testing.estimate.cost import relative_seconds
from llm_testing.estimate.estimator import Estimator
from llm_testing.estimate.jobs import Job
from llm_testing.estimate.result import Estimate
from llm_testing.estimate.step import Step

BEST = 3
Config = PretrainConfig | FinetuneConfig
JobOf = Callable[[Any], Job]
"""The job of a config, on the budget's kind of device."""


@dataclass(frozen=True)
class Levers:
    """What may be changed to make a run fit.

    Args:
        accumulation: the option that counts micro-batches.
        checkpointing: the option that recomputes activations.
        context: the option for the length of a sequence.
        alike: options that leave what is learned as it is, but for rounding.
        other: options that change it, each from generous to lean; used in this order, where the others do not do.
    """

    accumulation: str
    checkpointing: str
    context: str
    alike: dict[str, tuple[Any, ...]]
    other: dict[str, tuple[Any, ...]]


LEVERS = {
    PretrainConfig: Levers(
        "grad_accum_steps",
        "gradient_checkpointing",
        "context_length",
        {"attention_impl": ("sdpa",), "gradient_checkpointing": (True, False), "precision": ("bf16",)},
        {"optimizer": ("adamw", "adamw_8bit", "paged_adamw_8bit"), "tie_embeddings": (False, True)},
    ),
    FinetuneConfig: Levers(
        "gradient_accumulation",
        "use_gradient_checkpointing",
        "max_seq_length",
        {"use_gradient_checkpointing": (True, False), "precision": ("bf16",)},
        {"optim": ("adamw_torch", "adamw_8bit", "paged_adamw_8bit"), "adapter": ("full", "lora", "qlora")},
    ),
}
CONTEXTS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
MOST = 4096
"""Of sequences in a micro-batch, or of micro-batches. Source: the options' own range."""


@dataclass(frozen=True)
class Way:
    """One way to make a run fit.

    Args:
        changes: options to change, by name; empty if the run fits as it is.
        config: with them changed.
        relative_speed: 1 for the fastest found.
    """

    changes: dict[str, Any]
    config: Config
    estimate: Estimate
    relative_speed: float

    def as_dict(self) -> dict[str, Any]:
        """For --json and REST."""
        return {"changes": self.changes, "relative_speed": self.relative_speed, **self.estimate.as_dict()}


@dataclass(frozen=True)
class Search:
    """A search over changes of one config.

    Args:
        cancelled: looked at between traces; True ends the search with what was found.
    """

    estimator: Estimator
    config: Config
    job_of: JobOf
    budget: Budget
    cancelled: Callable[[], bool] = lambda: False

    def best(self) -> list[Way]:
        """The best three ways by estimated speed, all with the verdict "fits"; empty if there is none."""
        found: list[tuple[float, dict[str, Any]]] = []
        for tier in self._tiers():
            lean = [c for c in tier if c[self._levers.checkpointing] and c.get("attention_impl") in (None, "sdpa")]
            if not any(self._fits(self._with_batch(choice, 1)) for choice in lean):
                continue
            for choice in tier:
                if self.cancelled():
                    break
                found += self._largest_micro_batch(choice)
            if len(found) >= BEST:
                break
        found.sort(key=lambda entry: (entry[0], len(entry[1])))
        return [self._way(changes, found[0][0] / seconds) for seconds, changes in found[:BEST]]

    def largest(self, option: str) -> Way | None:
        """The same run with the largest model, context or batch that fits; None if not even the smallest does.

        Args:
            option: "config_name" (pretraining only), the context's option, or "batch_size".

        Raises:
            ValueError: for any other option.
        """
        if option == "batch_size":
            return self._largest_batch()
        values = {self._levers.context: CONTEXTS}
        if isinstance(self.config, PretrainConfig):
            values["config_name"] = tuple(SIZES)
        if option not in values:
            raise ValueError(f"The largest {option} is not a question here: ask for {', '.join(values)}, batch_size.")
        best = None
        for value in values[option]:
            if self.cancelled() or not self._fits({option: value}):
                break
            best = {option: value}
        return best and self._way(best, 1.0)

    @property
    def _levers(self) -> Levers:
        return LEVERS[type(self.config)]

    def _tiers(self) -> Iterator[list[dict[str, Any]]]:
        """Sets of switches to try, those that leave the result as it is first."""
        config, on_gpu = self.config, self.budget.device == "cuda"
        # A forced kernel may not run in another precision; on a CPU without bf16 products bf16 is slower by far.
        free_precision = on_gpu and getattr(config, "sdpa_kernel", "auto") == "auto" and config.precision != "fp16"
        options = {
            name: tuple(dict.fromkeys((getattr(config, name), *values)))
            for name, values in self._levers.alike.items()
            if name != "precision" or free_precision
        }
        yield _combined(options)
        for name, ladder in self._levers.other.items():
            if name in ("optimizer", "optim") and not on_gpu:
                # bitsandbytes' CPU kernels are written in Python and need more at their peak, not less.
                continue
            own = getattr(config, name)
            leaner = ladder[ladder.index(own) + 1 :]
            for value in leaner:
                yield [{**choice, name: value} for choice in _combined(options)]
            options[name] = (own, *leaner)

    def _largest_micro_batch(self, choice: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
        """The largest micro-batch that fits with these switches and divides the effective batch, with its time."""
        effective = self.config.batch_size * getattr(self.config, self._levers.accumulation)
        for micro_batch in sorted((n for n in range(1, effective + 1) if effective % n == 0), reverse=True):
            if micro_batch > MOST or effective // micro_batch > MOST:
                continue
            changes = self._with_batch(choice, micro_batch)
            if self._fits(changes):
                return [(self._seconds(changes), changes)]
        return []

    def _with_batch(self, choice: dict[str, Any], micro_batch: int) -> dict[str, Any]:
        """What differs from the config with these switches and this micro-batch, the effective batch kept."""
        effective = self.config.batch_size * getattr(self.config, self._levers.accumulation)
        wanted = {**choice, "batch_size": micro_batch, self._levers.accumulation: min(effective // micro_batch, MOST)}
        return {name: value for name, value in wanted.items() if value != getattr(self.config, name)}

    def _largest_batch(self) -> Way | None:
        low, high = 0, 1
        while high <= MOST and self._fits({"batch_size": high}):
            low, high = high, high * 2
        high = min(high, MOST + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits({"batch_size": middle}) else (low, middle)
        return self._way({"batch_size": low}, 1.0) if low else None

    def _step(self, changes: dict[str, Any]) -> tuple[Step, Job]:
        job = self.job_of(self._changed(changes))
        return self.estimator.step(job, self.budget, background=True)[0], job

    def _fits(self, changes: dict[str, Any]) -> bool:
        step, _ = self._step(changes)
        if self.budget.device == "cpu":
            return step.peak.num_bytes <= CPU_SHARE * self.budget.free_bytes
        room = self.budget.free_bytes - self.budget.context_bytes
        # The allocator's simulation is the slow part: leave it out where the bytes alone are too many.
        return step.peak.num_bytes <= room and reserves_within(step, room)

    def _seconds(self, changes: dict[str, Any]) -> float:
        step, job = self._step(changes)
        config = job.config
        recomputes = getattr(config, self._levers.checkpointing)
        tokens = job.batch_size * job.window
        return relative_seconds(step, config.precision, tokens, job.num_micro, config.optimizer, recomputes)

    def _way(self, changes: dict[str, Any], relative_speed: float) -> Way:
        config = self._changed(changes)
        return Way(
            changes, config, self.estimator.estimate(self.job_of(config), self.budget, background=True), relative_speed
        )

    def _changed(self, changes: dict[str, Any]) -> Config:
        base = self.config.model_dump()
        if "config_name" in changes:
            # A named size brings its own layers, heads and width.
            base |= {"n_layer": None, "n_head": None, "n_embd": None}
        return type(self.config).build(base | changes)


def _combined(options: dict[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]
