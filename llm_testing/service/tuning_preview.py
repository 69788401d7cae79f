"""What a fine-tuning draft means before Start: its figures, what its model is recommended, and sentences."""

from dataclasses import dataclass, field
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.models import find_model
from llm_testing.config.resolve_finetune import TuningResolved, resolve_finetune
from llm_testing.errors import DamagedRun, Problem
from llm_testing.service.records import EXAMPLE, example_facts
from llm_testing.store.runs import RunStore

_SAME_EXAMPLES = (
    "model_name", "dataset", "dataset_config", "dataset_split", "data_format", "columns", "n_examples", "val_share",
    "chat_template", "system_prompt", "answers_only", "max_seq_length", "seed",
)  # fmt: skip
"""Options that decide what the examples are; packing decides how many sequences they make."""
_SAME_COST = (
    "model_name", "adapter", "lora_r", "use_dora", "max_seq_length", "batch_size", "precision", "base_dtype",
    "fast_mode", "packing", "use_gradient_checkpointing", "optim", "device", "threads",
)  # fmt: skip
"""Options that decide how long a token takes."""


@dataclass(frozen=True)
class TuningPreview:
    """What a draft means.

    Args:
        problems: every option that would be refused; config and resolved are None then.
        recommended: options that picking the model fills in; empty where nothing is known of it.
        num_parameters, num_trainable: None where the model is not at hand yet.
        sentences: what will happen, for people.
        seconds: of the whole run, from an earlier one here that computed alike; None where there is none.
    """

    problems: tuple[Problem, ...] = ()
    config: FinetuneConfig | None = None
    resolved: TuningResolved | None = None
    recommended: dict[str, Any] = field(default_factory=dict)
    num_parameters: int | None = None
    num_trainable: int | None = None
    sentences: tuple[str, ...] = ()
    seconds: float | None = None


def preview_tuning(config: FinetuneConfig, store: RunStore, counts: tuple[int, int] | None) -> TuningPreview:
    """A draft's meaning; its examples are known where an earlier run here read the same.

    Args:
        counts: numbers in the model and its adapter, and those that are trained.
    """
    resolved = resolve_finetune(config, _known_facts(config, store))
    total, trained = counts or (None, None)
    return TuningPreview(
        config=config,
        resolved=resolved,
        recommended=recommended(config.model_name),
        num_parameters=total,
        num_trainable=trained,
        sentences=tuple(_sentences(config, resolved, counts)),
        seconds=_seconds(config, resolved, store),
    )


def _seconds(config: FinetuneConfig, resolved: TuningResolved, store: RunStore) -> float | None:
    if resolved.total_tokens is None:
        return None
    for row in store.rows():
        record = row.record
        if not record or row.damaged or record["kind"] != "finetune" or EXAMPLE in record["tags"]:
            continue
        summary, then = record.get("summary") or {}, record["config"]
        seconds, tokens = summary.get("elapsed_s"), summary.get("tokens_seen")
        if seconds and tokens and all(then.get(name) == getattr(config, name) for name in _SAME_COST):
            return resolved.total_tokens * seconds / tokens
    return None


def recommended(model_name: str) -> dict[str, Any]:
    """The length, rank and alpha that a model of the list is recommended."""
    known = find_model(model_name)
    return known.recommended if known else {}


def _known_facts(config: FinetuneConfig, store: RunStore):
    for row in store.rows():
        record = row.record
        if not record or row.damaged or record["kind"] != "finetune" or EXAMPLE in record["tags"]:
            continue
        then = record["config"]
        wanted = config.model_dump(mode="json")
        if all(then.get(name) == wanted[name] for name in _SAME_EXAMPLES) and _packs(then) == config.packs:
            try:
                return example_facts(record)
            except DamagedRun:
                continue
    return None


def _packs(values: dict[str, Any]) -> bool:
    return bool(values.get("fast_mode") if values.get("packing") is None else values["packing"])


def _sentences(config: FinetuneConfig, resolved: TuningResolved, counts: tuple[int, int] | None) -> list[str]:
    said = []
    if counts:
        total, trained = counts
        said.append(f"{trained:,} of {total:,} parameters are trained, {trained / total:.2%}.")
    each = "up to " if config.packs else ""
    said.append(
        f"Each update sees {resolved.effective_batch:,} sequences of {each}{config.max_seq_length:,} tokens"
        + (", each filled with several examples." if config.packs else ", one example in each.")
    )
    if resolved.total_tokens is not None:
        said.append(f"{resolved.total_steps:,} steps read {resolved.total_tokens:,} tokens.")
    elif config.max_steps is None:
        passes = "One pass" if config.num_epochs == 1 else f"{config.num_epochs:,} passes"
        said.append(f"{passes} over the examples; how many steps that is is known once they have been read.")
    return [*said, *resolved.warnings]
