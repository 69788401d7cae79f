"""The record of a run: made at the start, summed up at each save, read for lists, results and comparisons."""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, TypeVar

from llm_testing.config.facts import DataFacts, ExampleFacts
from llm_testing.config.option import Options
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.shapes import SIZES
from llm_testing.errors import ConfigError, DamagedRun, Problem
from llm_testing.jobs.owner import effective_state
from llm_testing.service.names import last_part
from llm_testing.service.views import Live
from llm_testing.store.damage import Damage
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore

RESULT_KEYS = (
    "run_id", "state", "step", "train_loss", "val_loss", "val_bits_per_byte", "best_val_loss", "num_parameters",
    "num_trainable", "tokens_seen", "tokens_per_s", "elapsed_s", "peak_bytes", "estimated_bytes",
)  # fmt: skip
SUMMED_UP = (
    "step", "total_steps", "train_loss", "val_loss", "val_bits_per_byte", "best_val_loss", "tokens_seen",
    "tokens_per_s", "elapsed_s", "peak_bytes",
)  # fmt: skip


EXAMPLE = "example"
"""The tag of a run that came with the program."""

Facts = TypeVar("Facts", DataFacts, ExampleFacts)
_SAME_DATA = ("corpus", "val_corpus", "tokenizer", "vocab_size")


def new_record(kind: str, name: str, config: Options, request_id: str | None, parent: dict | None) -> dict:
    """The first record of a run.

    Args:
        kind: pretrain or finetune.
        name: what to call it.
    """
    return {
        "kind": kind,
        "name": name,
        "state": "queued",
        "config": config.model_dump(mode="json"),
        "parent": parent,
        "request_id": request_id,
    }


def default_name(config: PretrainConfig, store: RunStore) -> str:
    """A name for a run that was given none: its corpus and size."""
    corpus = last_part(config.corpus) or config.corpus
    width, _ = config.width_and_heads()
    custom = f"{config.n_layer or SIZES['nano'].n_layer}x{width}"
    size = custom if config.config_name == "custom" else config.config_name
    return f"{corpus[:40]}-{size}"


def data_record(facts: DataFacts) -> dict:
    """The data fingerprint and counts as run.json keeps them."""
    return {**asdict(facts), "warnings": list(facts.warnings)}


def facts_of(record: dict) -> DataFacts | None:
    """The data facts that a record keeps; None where its data was never prepared.

    Raises:
        DamagedRun: for facts that cannot be relied on.
    """
    return _facts(record, DataFacts)


def example_facts(record: dict) -> ExampleFacts | None:
    """The facts of the examples that a record keeps; None where they were never read.

    Raises:
        DamagedRun: for facts that cannot be relied on.
    """
    return _facts(record, ExampleFacts)


def _facts(record: dict, kind: type[Facts]) -> Facts | None:
    data = record.get("data")
    if not data:
        return None
    known = {name: data[name] for name in kind.__dataclass_fields__ if name in data}
    try:
        if damage_of(record).in_field("data"):
            raise TypeError
        return kind(**{**known, "warnings": tuple(known.get("warnings") or ())})
    except TypeError:
        raise DamagedRun(f"What run {record.get('run_id')} says of its data cannot be used.") from None


def damage_of(record: dict) -> Damage:
    """What is damaged in a run's record."""
    kept = record.get("damage")
    return Damage.of(kept) if kept else Damage()


def whole_config(record: dict) -> dict[str, Any]:
    """A run's options, to train or to open a model by: none of them was lost.

    Raises:
        ConfigError: naming those that are damaged; a default in their place would be another run.
    """
    places = [place for place in damage_of(record).places if place.field.partition(".")[0] == "config"]
    if places:
        message = "The run's own value is damaged"
        raise ConfigError([Problem(p.field.partition(".")[2], f"{message}: {p.in_words()}.") for p in places])
    return record["config"]


def looked_at(folder: RunFolder, record: dict) -> tuple[dict | None, Damage]:
    """A run's newest point, and what is damaged in its record and in the newest rows of its journals."""
    damage = damage_of(record)
    last = folder.last_row("metrics", damage)
    folder.last_row("samples", damage)
    folder.last_row("events", damage)
    return last, damage


def known_facts(config: PretrainConfig, store: RunStore) -> DataFacts | None:
    """The data facts of the newest run with the same corpus and tokenizer."""
    for row in store.rows():
        record = row.record
        if not record or row.damaged or EXAMPLE in record["tags"]:
            continue  # an example's text is that of another Python
        if all(record["config"].get(n) == getattr(config, n) for n in _SAME_DATA):
            try:
                facts = facts_of(record)
            except DamagedRun:
                continue
            if facts:
                return facts
    return None


def summary_of(live: Live) -> dict[str, Any]:
    """What a run has reached, for run.json."""
    reached = {name: getattr(live, name) for name in SUMMED_UP}
    return reached | ({"general_text": live.general_text} if live.general_text else {})


def state_of(record: dict) -> str:
    """The state a record really is in: one whose process died is interrupted."""
    return str(effective_state(record))


def result(folder: RunFolder, unwritten: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """A run's result with the keys of the command line's contract; unknown values are None.

    Args:
        unwritten: what of its record the disk has not taken.
    """
    return result_of({**folder.record(), **unwritten}, folder.last_row("metrics"))


def result_of(record: dict, last: dict | None) -> dict[str, Any]:
    """The same of a record and the newest point."""
    so_far = reached(record, last)
    parameters = record["parameters"]
    values = {
        **so_far,
        "run_id": record["run_id"],
        "state": state_of(record),
        "num_parameters": parameters.get("total"),
        "num_trainable": parameters.get("trainable"),
        "peak_bytes": record["measured_peak_bytes"] or so_far.get("peak_bytes"),
        "estimated_bytes": record["estimated_bytes"],
    }
    return {key: values.get(key) for key in RESULT_KEYS}


def reached(record: dict, last: dict | None) -> dict[str, Any]:
    """How far a run has come: its summary, and what its newest point says beyond it.

    A run of another process, or one that died, has got further than its summary. The loss of a finished run is the one
    over the whole split, which only its last point has.
    """
    values = {**record["summary"], **{n: v for n, v in (last or {}).items() if n in SUMMED_UP and v is not None}}
    if last and last.get("final_val_loss") is not None:
        values |= {"val_loss": last["final_val_loss"], "val_bits_per_byte": last.get("final_val_bits_per_byte")}
    return values
