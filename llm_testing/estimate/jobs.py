"""What a worker is asked to trace: plain data, without torch."""

import json
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Options, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import Resolved
from llm_testing.config.shapes import Shape


class Job(Protocol):
    """One trace of a training step.

    Args:
        config: the run's options; of them only those that the model, optimizer and step read matter.
        num_layers, batch_size, num_micro: what is traced, which may be less than what will run.
        window: tokens a sequence.
        device: "cuda" or "cpu": whose memory behaviour.
        threads: that the CPU's kernels share their work among.
        period: after how many layers their kinds repeat; the first and the last period may differ from the others.
    """

    config: PretrainConfig | FinetuneConfig
    num_layers: int
    batch_size: int
    num_micro: int
    window: int
    device: str
    threads: int
    period: int

    def family(self) -> Hashable:
        """Everything that the trace depends on but batch size, depth and accumulation."""

    def at(self, num_units: int, batch_size: int) -> Self:
        """The same with another number of periods and another batch."""


@dataclass(frozen=True)
class GPTJob:
    """A pretraining step; `shape` is the model, its n_layer what a whole run has."""

    config: PretrainConfig
    shape: Shape
    num_layers: int
    batch_size: int
    num_micro: int
    window: int
    device: str
    threads: int = 1
    period: int = 1

    def family(self) -> Hashable:
        """As in `Job`."""
        shape = replace(self.shape, n_layer=0)
        return _traced_options(self.config, _NOT_TRACED), shape, self.window, self.device, self.threads

    def at(self, num_units: int, batch_size: int) -> Self:
        """As in `Job`."""
        return replace(self, num_layers=num_units, batch_size=batch_size)


@dataclass(frozen=True)
class OpenJob:
    """A fine-tuning step; `model` is the model's config.json, as text."""

    config: FinetuneConfig
    model: str
    num_layers: int
    batch_size: int
    num_micro: int
    window: int
    device: str
    threads: int = 1
    period: int = 1

    def family(self) -> Hashable:
        """As in `Job`."""
        rest = self.num_layers % self.period
        return _traced_options(self.config, _NOT_TUNED), self.model, rest, self.window, self.device, self.threads

    def at(self, num_units: int, batch_size: int) -> Self:
        """As in `Job`; the layers after the last whole period stay."""
        num_layers = num_units * self.period + self.num_layers % self.period
        return replace(self, num_layers=num_layers, batch_size=batch_size)


@dataclass(frozen=True)
class WarmUp:
    """Nothing to trace: the worker imports what traces need."""


@dataclass(frozen=True)
class AskModel:
    """A question about a model of transformers, by its config.json as text."""

    model: str


@dataclass(frozen=True)
class AskCounts:
    """A question about how many numbers a model has with its adapter, and how many of them are trained."""

    model: str
    config: FinetuneConfig


@dataclass(frozen=True)
class ModelFacts:
    """What its config says of a model.

    Args:
        model: the config.json itself, as text.
        model_type: the family, as transformers calls it.
        num_layers: repeated blocks.
        period: after how many of them their kinds repeat.
        context_length: tokens that it can look back at; None where that is open.
    """

    model: str
    model_type: str
    num_layers: int
    period: int
    context_length: int | None


_NOT_TRACED_GROUPS = ("Run", "Data", "Watching", "Checkpoints", "Machine")
_NOT_TRACED = frozenset(
    {
        *("config_name", "n_layer", "n_head", "n_embd", "context_length", "tie_embeddings", "qkv_bias"),
        *("epochs", "max_steps", "batch_size", "grad_accum_steps", "learning_rate", "warmup_steps", "lr_schedule"),
        *("min_lr_ratio", "weight_decay", "beta1", "beta2", "seed"),
    }
)
"""Options that no trace depends on, or only through the shape; an option that is new counts as one that it does."""
_NOT_TUNED = frozenset(
    {
        *("model_name", "max_seq_length", "batch_size", "gradient_accumulation", "learning_rate", "weight_decay"),
        *("beta1", "beta2", "seed", "lora_alpha"),
    }
)


def _traced_options(config: Options, left_out: frozenset[str]) -> Hashable:
    return tuple(
        (name, getattr(config, name))
        for name, option in options_of(type(config)).items()
        if name not in left_out and (option.show.group not in _NOT_TRACED_GROUPS or name == "packing")
    )


def pretraining_job(config: PretrainConfig, resolved: Resolved, device: str, threads: int = 1) -> GPTJob:
    """The step of a pretraining run.

    Args:
        resolved: what `config.resolve.resolve` says of this config.
        device: "cuda" or "cpu".
    """
    shape, batch, micro = resolved.shape, config.batch_size, config.grad_accum_steps
    return GPTJob(config, shape, shape.n_layer, batch, micro, resolved.window, device, threads)


def finetuning_job(config: FinetuneConfig, facts: ModelFacts, device: str, threads: int = 1) -> OpenJob:
    """The step of a fine-tuning run, its examples as long as they may be."""
    return OpenJob(
        config=config,
        model=facts.model,
        num_layers=facts.num_layers,
        batch_size=config.batch_size,
        num_micro=config.gradient_accumulation,
        window=min(config.max_seq_length, facts.context_length or config.max_seq_length),
        device=device,
        threads=threads,
        period=facts.period,
    )


def counts_question(values: dict[str, Any], config: FinetuneConfig) -> AskCounts:
    """The question, with those options alone that the answer depends on; 4 bits hold as many numbers as any."""
    adapter = "full" if config.adapter == "full" else "lora"
    asked = {"adapter": adapter, **{name: getattr(config, name) for name in ("lora_r", "use_dora", "target_modules")}}
    return AskCounts(model_text(values), FinetuneConfig.build(asked))


def model_text(values: dict[str, Any]) -> str:
    """A config.json as jobs carry it: the same values give the same text."""
    return json.dumps(values, sort_keys=True)
