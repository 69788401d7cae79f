"""How much memory a run would take, and whether it fits: what page, REST, command line and Start ask."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import Resolved, resolve
from llm_testing.errors import ConfigError, DamagedRun, Problem, UserError
from llm_testing.estimate.budget import CARDS, Budget, card_at_hand, card_named, card_of, main_memory
from llm_testing.estimate.estimator import Estimator
from llm_testing.estimate.fit import LEVERS, Config, Search, Way
from llm_testing.estimate.jobs import Job, finetuning_job, pretraining_job
from llm_testing.estimate.result import Estimate
from llm_testing.estimate.worker import TraceFailed
from llm_testing.jobs.lock import TrainerLock
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.jobs.threads import Crew
from llm_testing.model.device import card_memory, device_name, find_device, held_memory
from llm_testing.model.weights import to_device
from llm_testing.service.base_models import BaseModels, config_of_folder
from llm_testing.service.checks import refuse_what_exceeds
from llm_testing.service.records import known_facts
from llm_testing.store.damage import Damage
from llm_testing.store.files import read_json, write_json
from llm_testing.store.run_shapes import record_shape
from llm_testing.store.runs import RunStore
from llm_testing.store.shapes import Fields, ListOf, Look
from llm_testing.train.probe import probe
from llm_testing.train.session import fresh_model

USUAL_CARD_GB = 16
"""The card that is asked about where none was named and none is here."""
SEQUENCES = (1, 2, 4, 8, 16, 32, 64)
MOST_PROBES = 200
USUAL_LENGTH = 1024
"""Of examples, where nothing is known but how far a model can look back."""
TOKENS = (128, 256, 512, 1024, 2048, 4096, 8192)


class NoEstimate(UserError):
    """A step that could not be traced, with the reason: the figure is missing, nothing else is wrong."""


class Estimates:
    """Estimates for the runs of one runs folder.

    Args:
        threads: that a run on the CPU computes with.
        crew: does what somebody waits for, who may give up waiting.
        models_dir: where downloaded base models lie.
    """

    def __init__(self, estimator: Estimator, store: RunStore, threads: int, crew: Crew, models_dir: Path | None = None):
        self._estimator, self._store, self._threads, self._crew = estimator, store, threads, crew
        self._models = BaseModels(store, models_dir)

    def close(self) -> None:
        """End the process that traces."""
        self._estimator.close()

    def warm_up(self) -> None:
        """Have the process that traces ready before somebody waits; what goes wrong is told to who asks for more."""
        with suppress(TraceFailed):
            self._estimator.warm_up()

    def begin_warm_up(self) -> None:
        """The same beside whatever else is done."""
        self._crew.start("tracer", self.warm_up)

    def ask(self, question: Callable[[], Estimate]) -> Future:
        """Have an estimate made beside whatever else is done; whoever waits for it may give up."""
        return self._crew.ask("estimate", question)

    # Against what.

    def budget(self, device: str = "auto", gpu_memory_gb: float | None = None, card: str | None = None) -> Budget:
        """The memory that is asked about.

        Args:
            device: of the run, where neither of the others is given; auto is the card here, else one of 16 GB.
            gpu_memory_gb: a card by its size.
            card: one of `budget.CARDS` by its name.

        Raises:
            ConfigError: for a card or device that there is not.
        """
        if card is not None:
            return self._named(card)
        if gpu_memory_gb is not None:
            return card_of(gpu_memory_gb)
        found = find_device(device)
        if found.type == "cuda":
            here = card_at_hand(*card_memory(found))
            # One run at a time: what this process holds, for a run or a conversation, is let go before the next.
            return replace(here, free_bytes=here.free_bytes + held_memory(found))
        return card_of(USUAL_CARD_GB) if device == "auto" else self.memory_here()

    def memory_here(self) -> Budget:
        """What this process may still use, for a run on the CPU."""
        return main_memory(usable_memory_bytes().available_bytes)

    def where_it_runs(self, device: str, held_bytes: int = 0) -> Budget:
        """The memory that a run on a device of this machine would really use.

        Args:
            held_bytes: what the run holds already, of main memory; of a card it is known.
        """
        if find_device(device).type == "cuda":
            return self.budget(device)
        free = self.memory_here()
        return replace(free, free_bytes=free.free_bytes + held_bytes)

    def _named(self, card: str) -> Budget:
        if card not in {known.name for known in CARDS}:
            names = ", ".join(known.name for known in CARDS)
            raise ConfigError([Problem("card", f"There is no card {card!r} in the list. There are {names}.")])
        return card_named(card)

    # Answers.

    def estimate(self, config: Config, budget: Budget, quick: bool = False) -> Estimate:
        """The memory of a run's step; quick leaves reserved bytes open, and answers at once for what was traced.

        Raises:
            ConfigError: for options that do not suit the model, and for a model that is not known.
            NoEstimate: if the step cannot be traced.
        """
        return self._traced(lambda: self._estimator.estimate(self._job(config, budget), budget, quick))

    def prepare_accumulation(self, config: Config, budget: Budget) -> None:
        """Trace beside whatever else is done what another number of micro-batches asks for, to answer that at once."""
        job = self._job(config, budget)
        if job.num_micro == 1:
            self._crew.start("tracer", lambda: self._prepared(replace(job, num_micro=2), budget))

    def _prepared(self, job: Job, budget: Budget) -> None:
        with suppress(TraceFailed, ConfigError):
            self._estimator.step(job, budget, background=True)

    def of_run(self, config: PretrainConfig, resolved: Resolved, budget: Budget, threads: int) -> Estimate:
        """The memory of a run whose data is known.

        Raises:
            NoEstimate: if the step cannot be traced.
        """
        job = pretraining_job(config, resolved, budget.device, threads)
        return self._traced(lambda: self._estimator.estimate(job, budget))

    def of_tuning(
        self, config: FinetuneConfig, folder: Path, largest: tuple[int, int], budget: Budget, threads: int
    ) -> Estimate:
        """The memory of a fine-tuning run whose model and examples are at hand.

        Args:
            largest: sequences, and tokens a sequence, of its largest micro-batch.

        Raises:
            ConfigError: for options that do not suit the model.
            NoEstimate: if the step cannot be traced.
        """
        facts = self._traced(lambda: self._estimator.model(config_of_folder(folder)))
        job = finetuning_job(config, facts, budget.device, threads)
        job = replace(job, batch_size=largest[0], window=largest[1])
        return self._traced(lambda: self._estimator.estimate(job, budget))

    def counts(self, config: FinetuneConfig) -> tuple[int, int]:
        """Numbers in a model with its adapter, and those that are trained.

        Raises:
            ConfigError: for options that do not suit the model, and for a model that is not known.
            NoEstimate: if the model cannot be read.
        """
        values = self._models.config(config.model_name)
        return self._traced(lambda: self._estimator.counts(values, config))

    def context_of(self, model_name: str) -> int | None:
        """How far back a model looks whose configuration is at hand; None where it is not, or does not say.

        Raises:
            ConfigError: for a run or folder without a model.
        """
        return _context_in(self._models.at_hand(model_name) or {})

    def recommended(self, model_name: str) -> dict[str, Any]:
        """A length and rank that a model suits which is not in the list, from its configuration.

        Raises:
            ConfigError: for a model that is not known.
        """
        values = self._models.config(model_name)
        context, width = _context_in(values), values.get("hidden_size") or values.get("n_embd")
        if context is None or not isinstance(width, int):
            return {}
        # The ranks of the list's entries, by width; a rank near the width would be full tuning in disguise.
        rank = min(16 if width < 2048 else 32, max(4, width // 16))
        return {"max_seq_length": min(context, USUAL_LENGTH), "lora_r": rank, "lora_alpha": rank}

    def curves(self, config: Config, budget: Budget) -> dict[str, list[dict[str, Any]]]:
        """Allocated bytes over batch sizes and over context lengths: {"batch_size": [{"value", "bytes", "terms"}]}.

        A context that the model cannot have is left out.
        """
        context = LEVERS[type(config)].context
        answers: dict[str, list[dict[str, Any]]] = {"batch_size": [], context: []}
        for option, values in (("batch_size", SEQUENCES), (context, TOKENS)):
            for value in values:
                try:
                    job = self._job(type(config).build(config.model_dump() | {option: value}), budget)
                    found = self._traced(lambda job=job: self._estimator.estimate(job, budget, True, background=True))
                except (ConfigError, NoEstimate):
                    continue
                answers[option].append({"value": value, "bytes": found.allocated_bytes, "terms": found.terms})
        return answers

    def fit(self, config: Config, budget: Budget, cancelled: Callable[[], bool] = lambda: False) -> list[Way]:
        """The best three ways to make a run fit that keep model, context and effective batch."""
        return self._traced(self._search(config, budget, cancelled).best)

    def largest(
        self, config: Config, option: str, budget: Budget, cancelled: Callable[[], bool] = lambda: False
    ) -> Way | None:
        """The largest preset, context or batch that fits; None if not even the smallest does.

        Raises:
            ConfigError: for an option that is none of these.
        """
        search = self._search(config, budget, cancelled)
        try:
            return self._traced(lambda: search.largest(option))
        except ValueError as error:
            raise ConfigError([Problem("largest", str(error))]) from None

    # How far off.

    def probe(self, config: Config) -> dict[str, Any]:
        """Run three real steps, and keep what they took beside the estimate.

        An open model is filled with zeros: it takes the memory of the real one, and nothing is downloaded for it.

        Raises:
            Busy: while a run holds the trainer.
            ConfigError, NoEstimate: as `estimate`.
            NotEnoughMemory: rather than trying what exceeds the memory here.
        """
        device = find_device(config.device)
        budget = self.where_it_runs(str(device))
        job = self._job(config, budget)
        told = self._traced(lambda: self._estimator.estimate(job, budget))
        refuse_what_exceeds(told, config, force=False)
        lock = TrainerLock(self._store.root, str(device))
        lock.acquire({"state": "probing"})
        try:
            packed = isinstance(config, FinetuneConfig) and config.packs
            measured = probe(self._real_model(config, device), config, job.window, packed, device)
        finally:
            lock.release()
        found = {
            "run_id": None,
            "environment": {"device_name": device_name(device)},
            "estimate": told.as_record(),
            "measured": measured,
        }
        write_json(self._probes, {"probes": [*self._probed(), found][-MOST_PROBES:]})
        return found

    def _real_model(self, config: Config, device: Any) -> Any:
        if isinstance(config, PretrainConfig):
            return to_device(fresh_model(config, self.resolved(config)), device)
        from llm_testing.model.open_model import filled_with_zeros, read_config  # noqa: PLC0415 imports transformers

        return filled_with_zeros(read_config(self._models.config(config.model_name)), config, device)

    def accuracy(self) -> dict[str, Any]:
        """How far estimates have been off: `accuracy` over all runs and probes here."""
        runs = [row.record for row in self._store.rows() if row.record and not row.damaged]
        return accuracy([*runs, *self._probed()])

    @property
    def _probes(self) -> Path:
        return self._store.root / "probes.json"

    def _probed(self) -> list[dict[str, Any]]:
        try:
            found = read_json(self._probes).get("probes", []) if self._probes.exists() else []
        except DamagedRun:
            return []
        return _PROBES.held(found, "probes", Look(Damage(), self._probes.name)) or []

    # Inside.

    def _search(self, config: Config, budget: Budget, cancelled: Callable[[], bool]) -> Search:
        return Search(self._estimator, config, lambda changed: self._job(changed, budget), budget, cancelled)

    def _job(self, config: Config, budget: Budget) -> Job:
        if isinstance(config, FinetuneConfig):
            facts = self._estimator.model(self._models.config(config.model_name))
            return finetuning_job(config, facts, budget.device, self._threads)
        return pretraining_job(config, self.resolved(config), budget.device, config.threads or self._threads)

    def resolved(self, config: PretrainConfig) -> Resolved:
        """What a config means, with the facts of its data where an earlier run here prepared it."""
        return resolve(config, known_facts(config, self._store))

    def _traced(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except TraceFailed as error:
            raise NoEstimate(f"This step's memory could not be estimated. {error}") from None


_PROBED = {name: record_shape(None).fields[name] for name in ("environment", "estimate", "measured")}
_PROBES = ListOf(shape=Fields(fields=_PROBED), most=MOST_PROBES)


def accuracy(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How far estimates have been off, over runs that stored an estimate and a measured peak.

    Returns:
        points: {"run_id", "device", "estimated_bytes", "measured_bytes", "error"} a run, error as a share;
        bands: {device: {"count", "least", "most"}}, the range of errors on each device.
    """
    points = []
    for record in records:
        told = record.get("estimate") or {}
        measured = record.get("measured") or {}
        if not told.get("allocated_bytes") or not measured.get("allocated_bytes"):
            continue
        off = told["allocated_bytes"] / measured["allocated_bytes"] - 1
        points.append(
            {
                "run_id": record["run_id"],
                "device": (record.get("environment") or {}).get("device_name"),
                "estimated_bytes": told["allocated_bytes"],
                "measured_bytes": measured["allocated_bytes"],
                "error": off,
            }
        )
    bands: dict[str, dict[str, Any]] = {}
    for point in points:
        band = bands.setdefault(str(point["device"]), {"count": 0, "least": point["error"], "most": point["error"]})
        band["count"] += 1
        band["least"], band["most"] = min(band["least"], point["error"]), max(band["most"], point["error"])
    return {"points": points, "bands": bands}


def _context_in(model_config: dict[str, Any]) -> int | None:
    found = model_config.get("max_position_embeddings") or model_config.get("n_positions")
    return found if isinstance(found, int) else None
