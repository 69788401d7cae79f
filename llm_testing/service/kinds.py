"""The kinds of run there are, and what differs between them: everything else is the same code for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Options
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.checks import check_finetune, check_start
from llm_testing.service.finetuning import finetune_name, ready_finetuning
from llm_testing.service.pretraining import ready_pretraining
from llm_testing.service.records import default_name, facts_of, whole_config
from llm_testing.store.runs import RunStore

if TYPE_CHECKING:
    from llm_testing.service.job import Job
    from llm_testing.service.ready import Ready
    from llm_testing.train.session import Surroundings


@dataclass(frozen=True)
class Kind:
    """One kind of run.

    Args:
        name: as run.json calls it.
        config: the class of its options.
        check: refuses what cannot start, and gives the device as text: (config, cache folder, usable cores).
        default_name: of a run that was given none: (config, store).
        fork_problems: why a run cannot begin from a checkpoint of a run with this record.
        ready: prepares data and says what the run is.
    """

    name: str
    config: type[Options]
    check: Callable[[Any, Path, int], str]
    default_name: Callable[[Any, RunStore], str]
    fork_problems: Callable[[Any, dict], list[Problem]]
    ready: Callable[[Job, Surroundings], Ready]


def kind_of(config: Options) -> Kind:
    """The kind that a config belongs to."""
    return next(kind for kind in (PRETRAIN, FINETUNE) if isinstance(config, kind.config))


def name_for(config: Options, store: RunStore) -> str:
    """What a new run is called: as its user said, else by its model and data."""
    return config.name or kind_of(config).default_name(config, store)


def kind_named(name: str) -> Kind | None:
    """The kind that run.json calls so; None for one of another version."""
    return next((kind for kind in (PRETRAIN, FINETUNE) if kind.name == name), None)


def config_of(record: dict) -> Options:
    """The config that a run's record keeps.

    Raises:
        ConfigError: for a kind that there is not, and for options that are refused.
    """
    kind = kind_named(record["kind"])
    if kind is None:
        raise ConfigError([Problem("", f"Runs of the kind {record['kind']!r} are not known here.")])
    return kind.config.build(whole_config(record))


def _pretrain_fork(config: PretrainConfig, record: dict) -> list[Problem]:
    facts = facts_of(record)
    if facts is None or facts.tokenizer == config.tokenizer:
        return []
    message = f"A fork keeps its parent's tokenizer, {facts.tokenizer}; received {config.tokenizer}."
    return [Problem("tokenizer", message)]


_SAME_IN_A_FORK = ("model_name", "adapter", "lora_r", "use_dora", "target_modules")


def _finetune_fork(config: FinetuneConfig, record: dict) -> list[Problem]:
    parent = FinetuneConfig.build(whole_config(record))
    return [
        Problem(
            name, f"A fork keeps its parent's {name}, {getattr(parent, name)!r}; received {getattr(config, name)!r}."
        )
        for name in _SAME_IN_A_FORK
        if getattr(config, name) != getattr(parent, name)
    ]


PRETRAIN = Kind("pretrain", PretrainConfig, check_start, default_name, _pretrain_fork, ready_pretraining)
FINETUNE = Kind("finetune", FinetuneConfig, check_finetune, finetune_name, _finetune_fork, ready_finetuning)
