"""Jobs to the code that traces them, inside the worker."""

import json

import torch

from llm_testing.estimate.jobs import AskCounts, AskModel, GPTJob, ModelFacts, OpenJob, WarmUp
from llm_testing.estimate.recording import Recording
from llm_testing.estimate.trace_fake import Memory
from llm_testing.estimate.trace_gpt import trace_gpt
from llm_testing.train.optim import warm_up


def run(
    job: GPTJob | OpenJob | AskModel | AskCounts | WarmUp, memory: Memory
) -> Recording | ModelFacts | tuple[int, int] | None:
    """Trace what a job describes, or answer a question about a model.

    Args:
        memory: kept from job to job: the more it holds, the faster is the next.
    """
    torch.set_num_threads(1)
    if isinstance(job, WarmUp):
        return warm_up()
    if isinstance(job, GPTJob):
        return trace_gpt(job, memory)
    # transformers and peft take seconds to import, which pretraining need not wait for.
    from llm_testing.estimate.trace_open import counts_of, trace_open  # noqa: PLC0415
    from llm_testing.model.open_model import layer_period, read_config  # noqa: PLC0415

    if isinstance(job, OpenJob):
        return trace_open(job, memory)
    if isinstance(job, AskCounts):
        return counts_of(job)
    config = read_config(json.loads(job.model))
    context = getattr(config, "max_position_embeddings", None)
    return ModelFacts(job.model, config.model_type, config.num_hidden_layers, layer_period(config), context)
