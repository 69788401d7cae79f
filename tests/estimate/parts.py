"""Real training steps measured by torch's own allocator events, and traces of the same steps."""

import gc
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import resolve, shape_of
from llm_testing.estimate.jobs import GPTJob, pretraining_job
from llm_testing.estimate.recording import Recording
from llm_testing.estimate.step import Step
from llm_testing.model.gpt import build_gpt
from llm_testing.train.measure import allocator_changes, bytes_of, peak_over
from llm_testing.train.optim import build_optimizer
from llm_testing.train.step import TrainingStep

CPU = torch.device("cpu")
VOCAB = 512
SMALL = {"config_name": "custom", "n_layer": 3, "n_head": 4, "n_embd": 64, "context_length": 64, "batch_size": 4}


def config(**values):
    return PretrainConfig.build(SMALL | values)


def job(options, device="cpu", vocab=VOCAB, **changes):
    """The trace of a whole run's step, nothing left out."""
    shape = shape_of(options, vocab)
    values = {
        "num_layers": shape.n_layer,
        "batch_size": options.batch_size,
        "num_micro": options.grad_accum_steps,
        "window": shape.context_length,
        "threads": 1,
    }
    return GPTJob(options, shape, device=device, **values | changes)


def asked(options, budget):
    """The job of a whole run, for an Estimator."""
    return pretraining_job(options, resolve(options), budget.device)


@dataclass
class Measured:
    """A step on the CPU: bytes before it and at its peak, as the allocator's events say."""

    before_bytes: int
    peak_bytes: int


def measure(options, vocab=VOCAB) -> Measured:
    """Run steps for real until the optimizer has its state, and measure one more; tiny models without oneDNN."""
    with without_onednn() if vocab == VOCAB else nullcontext():
        return _measure(options, vocab)


@contextmanager
def without_onednn():
    """Leave out oneDNN, which in half precision takes scratch buffers inside a product.

    Their sizes differ from processor to processor: 80 KiB on one of AMD's, which is a percent of a tiny model. The
    named sizes are measured with it.
    """
    # torch.backends.mkldnn.flags warns where there is no Intel GPU.
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _measure(options, vocab) -> Measured:
    shape = shape_of(options, vocab)
    model = build_gpt(
        shape,
        options.seed,
        dropout=options.dropout,
        attention_impl=options.attention_impl,
        sdpa_kernel=options.sdpa_kernel,
        gradient_checkpointing=options.gradient_checkpointing,
    ).train()
    training = TrainingStep(model, build_optimizer(model, options), options, CPU)
    size = (options.batch_size, shape.context_length)

    def step(number):
        training.begin()
        for micro in range(options.grad_accum_steps):
            x, y = (torch.from_numpy(np.zeros(size, np.int64)) for _ in range(2))
            training.micro_step(x, y, x.numel() * options.grad_accum_steps, number, micro)
        training.update(1e-3)

    while not training.optimizer.state:
        # In fp16 the first steps may overflow, and make no state.
        step(0)
    gc.collect()
    states = [v for state in training.optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor)]
    before = bytes_of([*model.parameters(), *model.buffers(), *states])
    with allocator_changes() as changes:
        step(1)
    return Measured(before, before + peak_over(changes))


def peak_of(recording: Recording, rounding: int = 1) -> int:
    return Step(recording, rounding).peak.num_bytes
