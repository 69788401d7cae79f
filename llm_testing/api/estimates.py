"""What a run would take in memory, as REST calls; the old query shapes are answered with the old keys beside ours."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from llm_testing.api.calls import Asked, Call
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Show
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.estimate.budget import CARDS, GIB, MIB, Budget
from llm_testing.estimate.result import Estimate
from llm_testing.service.names import check_names

GigaBytes = Annotated[float | None, Field(ge=1, le=10_000), Show("Card", "Memory", unit="GB")]
CardName = Annotated[str | None, Field(max_length=40), Show("Card by name", "Memory")]


class PretrainQuery(PretrainConfig):
    """Any option of a pretraining run, and the card that is asked about."""

    gpu_memory_gb: GigaBytes = None
    """The card by its size; absent means the one here, else one of 16 GB."""
    card: CardName = None
    """The card by its name, instead."""


class FinetuneQuery(FinetuneConfig):
    """Any option of a fine-tuning run, and the card that is asked about."""

    gpu_memory_gb: GigaBytes = None
    """The card by its size; absent means the one here, else one of 16 GB."""
    card: CardName = None
    """The card by its name, instead."""


class PretrainAsk(PretrainQuery):
    """The same with what the page wants to know."""

    here: Annotated[bool, Show("This machine", "Memory")] = False
    """Ask about the memory that the run would use on this machine."""
    quick: Annotated[bool, Show("Quick", "Memory")] = False
    """Leave reserved bytes open, for an answer at once."""
    largest: Annotated[str | None, Field(max_length=40), Show("Largest", "Memory")] = None
    """The option whose largest value that fits is wanted."""


class FinetuneAsk(FinetuneQuery):
    """The same with what the page wants to know."""

    here: Annotated[bool, Show("This machine", "Memory")] = False
    """Ask about the memory that the run would use on this machine."""
    quick: Annotated[bool, Show("Quick", "Memory")] = False
    """Leave reserved bytes open, for an answer at once."""
    largest: Annotated[str | None, Field(max_length=40), Show("Largest", "Memory")] = None
    """The option whose largest value that fits is wanted."""


def pretraining(asked: Asked) -> dict[str, Any]:
    """What a pretraining run takes in memory.

    The earlier keys are sums of ours: activations_mb holds activations, logits and loss, temporaries and workspaces.
    """
    found, config = _estimate(asked, PretrainConfig)
    terms = found.terms
    summed = {
        "model_mb": terms["weights"],
        "optimizer_mb": terms["optimizer"],
        "gradients_mb": terms["gradients"],
        "activations_mb": _flowing(terms),
    }
    return {
        **_earlier(summed, found),
        "params": found.num_parameters,
        "batch_size": config.batch_size,
        "context_length": asked.lab.estimates.resolved(config).shape.context_length,
        **found.as_dict(),
    }


def finetuning(asked: Asked) -> dict[str, Any]:
    """What a fine-tuning run takes in memory.

    The earlier keys are sums of ours: model_mb holds the frozen weights, lora_mb the trained ones (fp32) with their
    gradients, activations_mb activations, logits, loss and temporaries, overhead_mb workspaces and the CUDA context.
    """
    found, config = _estimate(asked, FinetuneConfig)
    terms = found.terms
    trained = 0 if config.adapter == "full" else min(4 * found.num_trainable, terms["weights"])
    summed = {
        "model_mb": terms["weights"] - trained,
        "lora_mb": trained + terms["gradients"],
        "optimizer_mb": terms["optimizer"],
        "activations_mb": _flowing(terms) - terms["workspaces"],
        "overhead_mb": terms["workspaces"] + found.context_bytes,
    }
    return {**_earlier(summed, found), **found.as_dict()}


def for_page(kind: type[PretrainConfig] | type[FinetuneConfig]) -> Callable[[Asked], dict[str, Any]]:
    """The call that answers the page's memory bar and tab for one kind of run."""

    def estimate(asked: Asked) -> dict[str, Any]:
        """The memory of a run's step with its timeline; quick leaves reserved bytes open and the verdict likely."""
        config, budget, asks = _asked_about(asked, kind, asked.given())
        found = asked.lab.estimates.estimate(config, budget, quick=asks["quick"])
        if not asks["quick"]:
            asked.lab.estimates.prepare_accumulation(config, budget)
        return {
            **found.as_dict(),
            "timeline": found.timeline,
            "warning": None if asks["quick"] else warning(found, budget),
        }

    return estimate


def for_fit(kind: type[PretrainConfig] | type[FinetuneConfig]) -> Callable[[Asked], dict[str, Any]]:
    """The call that finds what fits for one kind of run."""

    def fit(asked: Asked) -> dict[str, Any]:
        """The best three ways to make a run fit; with largest, the largest value of that option that fits instead."""
        config, budget, asks = _asked_about(asked, kind, asked.given())
        if asks["largest"]:
            way = asked.lab.estimates.largest(config, asks["largest"], budget)
            return {"ways": [way.as_dict()] if way else []}
        return {"ways": [way.as_dict() for way in asked.lab.estimates.fit(config, budget)]}

    return fit


def for_curves(kind: type[PretrainConfig] | type[FinetuneConfig]) -> Callable[[Asked], dict[str, Any]]:
    """The call that answers with curves over batch and context for one kind of run."""

    def curves(asked: Asked) -> dict[str, Any]:
        """Allocated bytes over batch sizes and over context lengths."""
        config, budget, _ = _asked_about(asked, kind, asked.given())
        return {**asked.lab.estimates.curves(config, budget), "free_bytes": budget.free_bytes}

    return curves


def cards(asked: Asked) -> dict[str, Any]:
    """The cards that can be asked about by name, and what a run here would really use."""
    here = asked.lab.estimates.where_it_runs("auto")
    return {
        "cards": [{"name": card.name, "num_gb": card.num_gb} for card in CARDS],
        "here": {"name": here.name, "device": here.device, "free_bytes": here.free_bytes},
    }


def trust(asked: Asked) -> dict[str, Any]:
    """Estimate against measured peak of every run that has both, and the range of errors on each device."""
    return asked.lab.estimates.accuracy()


def for_probe(kind: type[PretrainConfig] | type[FinetuneConfig]) -> Callable[[Asked], dict[str, Any]]:
    """The call that measures real steps of one kind of run."""

    def probe(asked: Asked) -> dict[str, Any]:
        """Three real steps on this machine: what they took, beside the estimate."""
        config, _, _ = _asked_about(asked, kind, asked.given())
        return asked.lab.estimates.probe(config)

    return probe


def _asked_about(
    asked: Asked, kind: type[PretrainConfig] | type[FinetuneConfig], given: dict[str, Any]
) -> tuple[Any, Budget, dict[str, Any]]:
    """The config and the memory that a query or body asks about, and the rest of it."""
    asks = {name: given.pop(name, default) for name, default in (("quick", False), ("largest", None), ("here", False))}
    memory, card = given.pop("gpu_memory_gb", None), given.pop("card", None)
    config = kind.build(given)
    if isinstance(config, FinetuneConfig):
        check_names(asked.request, {"model_name": config.model_name})
    device = getattr(config, "device", "auto")
    if asks["here"]:
        return config, asked.lab.estimates.where_it_runs(device), asks
    return config, asked.lab.estimates.budget(device, memory, card), asks


def _estimate(asked: Asked, kind: type[PretrainConfig] | type[FinetuneConfig]) -> tuple[Estimate, Any]:
    given = {name: getattr(asked.query, name) for name in asked.query.model_fields_set}
    config, budget, _ = _asked_about(asked, kind, given)
    return asked.lab.estimates.estimate(config, budget), config


def _flowing(terms: dict[str, int]) -> int:
    return sum(terms[name] for name in ("activations", "logits_and_loss", "temporaries", "workspaces"))


def _earlier(summed: dict[str, int], found: Estimate) -> dict[str, Any]:
    """The earlier keys: sizes in units of 2**20 and 2**30 bytes, and a warning where the card is too small."""
    total = sum(summed.values())
    return {
        **{name: round(num_bytes / MIB, 2) for name, num_bytes in summed.items()},
        "total_mb": round(total / MIB, 2),
        "total_gb": round(total / GIB, 3),
        "warning": warning(found, found.budget),
    }


def warning(found: Estimate, budget: Budget) -> str | None:
    """What to know before starting this on the card asked about; None where it fits with room."""
    need, free = found.reserved_bytes + found.context_bytes, budget.free_bytes
    sizes = f"about {need / GIB:.1f} GiB of {budget.name}'s {free / GIB:.1f} GiB"
    if found.verdict == "exceeds":
        least = found.minimum_bytes + found.context_bytes
        return f"Does not fit: it needs at least {least / GIB:.1f} GiB, and {budget.name} has {free / GIB:.1f} GiB."
    if found.verdict == "tight":
        return f"Tight: it wants {sizes}, and runs only as torch gives back what it caches."
    return f"Little room: it takes {sizes}." if need > 0.9 * free else None


ESTIMATES = (
    # A trace costs seconds of a core: who only looks has none made.
    Call("GET", "/api/pretraining/estimate-vram", "compute", pretraining, query=PretrainQuery),
    Call("GET", "/api/fine-tuning/estimate-vram", "compute", finetuning, query=FinetuneQuery),
    Call("POST", "/api/pretraining/estimate", "compute", for_page(PretrainConfig), body=PretrainAsk),
    Call("POST", "/api/fine-tuning/estimate", "compute", for_page(FinetuneConfig), body=FinetuneAsk),
    Call("POST", "/api/pretraining/fit", "compute", for_fit(PretrainConfig), body=PretrainAsk),
    Call("POST", "/api/fine-tuning/fit", "compute", for_fit(FinetuneConfig), body=FinetuneAsk),
    Call("POST", "/api/pretraining/estimate-curves", "compute", for_curves(PretrainConfig), body=PretrainAsk),
    Call("POST", "/api/fine-tuning/estimate-curves", "compute", for_curves(FinetuneConfig), body=FinetuneAsk),
    Call("POST", "/api/pretraining/probe", "start", for_probe(PretrainConfig), body=PretrainAsk, alone=True),
    Call("POST", "/api/fine-tuning/probe", "start", for_probe(FinetuneConfig), body=FinetuneAsk, alone=True),
    Call("GET", "/api/estimates/cards", "look", cards),
    Call("GET", "/api/estimates/accuracy", "look", trust),
)
