"""Our GPT's training step, ready to be traced: the model, optimizer and step that train."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from llm_testing.estimate.jobs import GPTJob
from llm_testing.estimate.recording import Recording
from llm_testing.estimate.trace_cpu import CPUSemantics
from llm_testing.estimate.trace_cuda import CUDASemantics
from llm_testing.estimate.trace_fake import Memory
from llm_testing.estimate.trace_semantics import Semantics
from llm_testing.estimate.trace_step import CPU, Stage, record_step
from llm_testing.model.gpt import GPT
from llm_testing.train.optim import build_optimizer
from llm_testing.train.step import TrainingStep


def trace_gpt(job: GPTJob, memory: Memory) -> Recording:
    """Record the step that this job describes."""
    semantics: Semantics = CUDASemantics() if job.device == "cuda" else CPUSemantics(job.threads)
    on_meta = gpt_on_meta(job)

    def tokens() -> Tensor:
        return torch.empty((job.batch_size, job.window), dtype=torch.int64)

    def build() -> Stage:
        model = without_data(on_meta)
        model.train()
        with unset_fake_temporarily():
            # An 8-bit optimizer computes its tables when it is made.
            optimizer = build_optimizer(model, job.config)
        step = TrainingStep(model, optimizer, job.config, CPU)
        layers = tuple(f"blocks.{index}" for index in range(job.num_layers))
        return Stage(step, layers, model.head, tokens, tokens, job.num_micro)

    return record_step(build, semantics, memory)


def gpt_on_meta(job: GPTJob) -> GPT:
    """The model that `train.session.open_run` builds, on the meta device."""
    config = job.config
    with torch.device("meta"):
        return GPT(
            replace(job.shape, n_layer=job.num_layers),
            dropout=config.dropout,
            attention_impl=config.attention_impl,
            sdpa_kernel=config.sdpa_kernel,
            gradient_checkpointing=config.gradient_checkpointing,
        )


def without_data(model: nn.Module) -> nn.Module:
    """Replace each meta tensor of a model by one of the mode that is active, keeping what is shared shared."""
    # Module.to cannot do it: swapping the data of a fake parameter is refused.
    made: dict[int, Tensor] = {}

    def twin(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype)
            is_parameter = isinstance(tensor, nn.Parameter)
            made[id(tensor)] = nn.Parameter(empty, requires_grad=tensor.requires_grad) if is_parameter else empty
        return made[id(tensor)]

    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = twin(tensor)
    return model
