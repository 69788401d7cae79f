"""From a fine-tuning config, its model and its examples to a run that can start."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.resolve_finetune import length_problems
from llm_testing.data.chats import Chat
from llm_testing.data.example_set import PreparedExamples
from llm_testing.data.windows import Batch
from llm_testing.errors import ConfigError
from llm_testing.jobs.progress import Report
from llm_testing.model.adapters import read_trained, write_trained
from llm_testing.model.base_model import load_tuned
from llm_testing.model.generate import Sampling
from llm_testing.model.open_model import OpenModel
from llm_testing.train.events import Event
from llm_testing.train.loop import Commands, TrainingRun
from llm_testing.train.optim import build_optimizer
from llm_testing.train.sampling import Sampler
from llm_testing.train.session import Start, Surroundings, standing_at
from llm_testing.train.state import Snapshot
from llm_testing.train.step import TrainingStep


def tuned_model(config: FinetuneConfig, folder: Path, place: Surroundings, start: Start) -> OpenModel:
    """The base model with its adapter, fresh or as a checkpoint keeps it.

    Raises:
        ConfigError: sequences longer than the model can read.
        DataError, DamagedRun: for files that cannot be used.
    """
    model = load_tuned(folder, config, place.device)
    if problems := length_problems(config, model.context_length):
        raise ConfigError(problems)
    if start.checkpoint:
        read_trained(model, start.checkpoint / "model.safetensors")
    return model


def open_tuning(
    config: FinetuneConfig,
    total_steps: int,
    model: OpenModel,
    data: PreparedExamples,
    chat: Chat,
    token_bytes_V: np.ndarray,
    place: Surroundings,
    start: Start,
    commands: Commands,
    emit: Callable[[Event], None],
    report: Report,
    save: Callable[[Snapshot], bool],
    clock: Callable[[], float] = time.monotonic,
    general: Sequence[Batch] = (),
) -> tuple[TrainingRun, list[str]]:
    """A run ready to go, and what to tell its user."""
    training = TrainingStep(model, build_optimizer(model, config), config, place.device)
    standing, notes = standing_at(training, config, start)
    run = TrainingRun(
        config=config,
        total_steps=total_steps,
        model=model,
        write_weights=write_trained,
        training=training,
        train=data.train,
        val=data.val,
        token_bytes_V=token_bytes_V,
        sampler=Sampler(
            config.sample_prompts,
            Sampling(max_tokens=config.sample_tokens, seed=config.seed, temperature=0.0),
            chat.encode,
            chat.decode,
            chat.end_id,
            min(chat.end_id),
        ),
        device=place.device,
        standing=standing,
        commands=commands,
        emit=emit,
        report=report,
        save=save,
        clock=clock,
        largest=data.train.largest,
        general=general,
    )
    return run, notes
