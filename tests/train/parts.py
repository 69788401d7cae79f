"""The pieces of a tiny training run, made by hand where a test needs to hold them."""

import numpy as np
import torch

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.shapes import Shape
from llm_testing.data.windows import TrainWindows, ValWindows
from llm_testing.jobs.control import Control
from llm_testing.model.generate import Sampling
from llm_testing.model.gpt import build_gpt
from llm_testing.model.weights import write_weights
from llm_testing.train.loop import TrainingRun
from llm_testing.train.optim import build_optimizer
from llm_testing.train.sampling import Sampler
from llm_testing.train.state import Standing
from llm_testing.train.step import TrainingStep

SHAPE = Shape(1, 2, 16, 8, 19, False, False)
CPU = torch.device("cpu")
TOKENS = np.random.default_rng(0).integers(0, 19, 600).astype(np.uint16)


def config(**values):
    """A config for SHAPE with short warm-up and no dropout, changed by values."""
    given = {"warmup_steps": 2, "dropout": 0.0, "learning_rate": 1e-2, "max_steps": 8, "sample_prompts": ("a",)}
    return PretrainConfig.build(given | values)


def training_step(options, seed=1, **choices):
    """A model of SHAPE and its step."""
    model = build_gpt(SHAPE, seed, dropout=options.dropout, **choices)
    return TrainingStep(model, build_optimizer(model, options), options, CPU)


class Recorder:
    """Collects what a run emits, reports and saves; may act on an event."""

    def __init__(self):
        self.events, self.progress, self.saves = [], [], []
        self.on_event = lambda event: None
        self.disk_is_full = False

    def save(self, snapshot):
        if not self.disk_is_full:
            self.saves.append(snapshot)
        return not self.disk_is_full

    def emit(self, event):
        self.events.append(event)
        self.on_event(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def training_run(options, recorder, control=None, standing=None, clock=lambda: 0.0, total_steps=None):
    """A run over TOKENS; the clock stands still, so nothing depends on time."""
    step = training_step(options)
    return TrainingRun(
        config=options,
        total_steps=total_steps or options.max_steps,
        model=step.model,
        write_weights=write_weights,
        training=step,
        train=TrainWindows(TOKENS, 8, options.batch_size, options.grad_accum_steps, options.seed),
        val=ValWindows(TOKENS[:100], 8, options.batch_size),
        token_bytes_V=np.full(19, 2, np.int32),
        sampler=Sampler(options.sample_prompts, Sampling(4), lambda text: [1], str, 0, 0),
        device=CPU,
        standing=standing or Standing(),
        commands=control or Control(),
        emit=recorder.emit,
        report=recorder.progress.append,
        save=recorder.save,
        clock=clock,
    )
