"""A fine-tuning step of a model of transformers, ready to be traced from the model's config alone."""

import json
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from llm_testing.estimate.jobs import AskCounts, OpenJob
from llm_testing.estimate.recording import Recording
from llm_testing.estimate.trace_cpu import CPUSemantics
from llm_testing.estimate.trace_cuda import CUDASemantics
from llm_testing.estimate.trace_fake import Memory
from llm_testing.estimate.trace_gpt import without_data
from llm_testing.estimate.trace_recorder import NotTraceable
from llm_testing.estimate.trace_semantics import Semantics
from llm_testing.estimate.trace_step import CPU, Stage, record_step
from llm_testing.model.adapters import counts
from llm_testing.model.open_model import from_config, layer_period, masks_without_data, read_config, with_layers
from llm_testing.train.optim import build_optimizer
from llm_testing.train.step import TrainingStep


def trace_open(job: OpenJob, memory: Memory) -> Recording:
    """Record the step that this job describes.

    Raises:
        NotTraceable: for a model whose code asks for values, or that has no list of layers.
    """
    semantics: Semantics = CUDASemantics() if job.device == "cuda" else CPUSemantics(job.threads)
    on_meta = from_config(with_layers(read_config(json.loads(job.model)), job.num_layers), job.config)

    packed = job.config.packs

    def tokens() -> Tensor:
        size = (job.batch_size, job.window)
        # Packed ones come with their positions, and transformers builds a mask from these.
        return torch.empty((2, *size) if packed else size, dtype=torch.int64)

    def targets() -> Tensor:
        return torch.empty((job.batch_size, job.window), dtype=torch.int64)

    def build() -> Stage:
        model = without_data(on_meta)
        with unset_fake_temporarily():
            optimizer = build_optimizer(model, job.config)
        step = TrainingStep(model, optimizer, job.config, CPU)
        return Stage(step, _layers(model, job.num_layers), model.head, tokens, targets, job.num_micro, job.period)

    with nullcontext() if packed else masks_without_data():
        return record_step(build, semantics, memory)


def counts_of(question: AskCounts) -> tuple[int, int]:
    """Numbers in a model with its adapter, and those that are trained; deep models follow from a few of their layers.

    Raises:
        ConfigError: for target_modules that the model does not have.
    """
    config = read_config(json.loads(question.model))
    period, num_layers = layer_period(config), config.num_hidden_layers
    if num_layers % period or num_layers // period <= 3:
        return counts(from_config(config, question.config))
    # Two periods at least: a layer that stands alone is taken for no part of the blocks.
    few, more = (counts(from_config(with_layers(config, n * period), question.config)) for n in (2, 3))
    rest = num_layers // period - 2
    total, trained = (a + rest * (b - a) for a, b in zip(few, more, strict=True))
    return total, trained


def _layers(model: nn.Module, num_layers: int) -> tuple[str, ...]:
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == num_layers]
    if not lists:
        raise NotTraceable(f"This model has no list of {num_layers} layers.")
    # The outermost of that length: blocks may hold lists of their own.
    name = min((name for name, _ in lists), key=lambda name: name.count("."))
    return tuple(f"{name}.{index}" for index in range(num_layers))
