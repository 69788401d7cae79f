"""Tiny models of every family, fine-tuned for real on the CPU and measured by the allocator's own events."""

import gc
import json

import bitsandbytes
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.estimate.jobs import OpenJob
from llm_testing.model.device import dtype_of
from llm_testing.model.open_model import attention_of, layer_period, read_config, tuned, with_layers
from llm_testing.train.measure import allocator_changes, bytes_of, peak_over
from llm_testing.train.optim import build_optimizer
from llm_testing.train.probe import made_up
from llm_testing.train.step import TrainingStep
from tests.estimate.parts import CPU, Measured, without_onednn

_LIKE_LLAMA = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
_ALTERNATING = [*["sliding_attention"] * 2, "full_attention"]
MODELS = {
    "llama": {**_LIKE_LLAMA, "model_type": "llama"},
    "qwen2": {**_LIKE_LLAMA, "model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {**_LIKE_LLAMA, "model_type": "qwen3", "head_dim": 32},
    "mistral": {**_LIKE_LLAMA, "model_type": "mistral", "sliding_window": 16, "head_dim": 16},
    "gemma3": {
        **{**_LIKE_LLAMA, "model_type": "gemma3_text", "head_dim": 16, "sliding_window": 16},
        **{"tie_word_embeddings": True, "layer_types": _ALTERNATING},
    },
    "phi3": {**_LIKE_LLAMA, "model_type": "phi3", "bos_token_id": 1, "eos_token_id": 2},
    "gpt2": {"model_type": "gpt2", "vocab_size": 512, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 128},
    "mixtral": {**_LIKE_LLAMA, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
}
SMALL = {"max_seq_length": 32, "batch_size": 4, "gradient_accumulation": 1, "lora_r": 4, "optim": "adamw_torch"}


def tuning(**values):
    return FinetuneConfig.build(SMALL | values)


def open_job(family, options, device="cpu", num_layers=None, batch_size=None, num_micro=None):
    """The trace of a whole run's step, nothing left out; of more layers where they are given."""
    config = read_config(MODELS[family])
    if num_layers:
        values = with_layers_repeated(family, num_layers)
        config = read_config(values)
    values = config.to_dict() | {"model_type": config.model_type}
    return OpenJob(
        options,
        json.dumps(values, default=str),
        config.num_hidden_layers,
        batch_size or options.batch_size,
        num_micro or options.gradient_accumulation,
        options.max_seq_length,
        device,
        period=layer_period(config),
    )


def with_layers_repeated(family, num_layers):
    """The family's config with more layers, their kinds going on as they do."""
    values = dict(MODELS[family])
    values["n_layer" if family == "gpt2" else "num_hidden_layers"] = num_layers
    if "layer_types" in values:
        kinds = values["layer_types"]
        values["layer_types"] = [kinds[index % len(kinds)] for index in range(num_layers)]
    return values


def measure_open(family, options) -> Measured:
    """Fine-tune two steps for real; measure the second."""
    config = with_layers(read_config(MODELS[family]), 3)
    config._attn_implementation, config.use_cache = attention_of(options), False
    with without_onednn():
        torch.manual_seed(0)
        inner = AutoModelForCausalLM.from_config(config, dtype=dtype_of(options.weights_dtype))
        if options.adapter == "qlora":
            quantize(inner)
        model = tuned(inner, options)
        training = TrainingStep(model, build_optimizer(model, options), options, CPU)

        def step(number):
            training.begin()
            for micro in range(options.gradient_accumulation):
                made = made_up(options.batch_size, options.max_seq_length, options.packs)
                x, y = (torch.from_numpy(part) for part in made)
                training.micro_step(x, y, y.numel() * options.gradient_accumulation, number, micro)
            training.update(1e-3)

        step(0)
        gc.collect()
        states = [v for s in training.optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
        before = bytes_of([*model.parameters(), *model.buffers(), *states, *quantization(model)])
        with allocator_changes() as changes:
            step(1)
    return Measured(before, before + peak_over(changes))


def quantize(model: nn.Module) -> None:
    """Hold linear layers in 4 bits, as bitsandbytes does when a model is loaded."""
    head, dtype = model.get_output_embeddings(), next(model.parameters()).dtype
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child is not head:
                bias = child.bias is not None
                layer = bitsandbytes.nn.Linear4bit(
                    child.in_features, child.out_features, bias, compute_dtype=dtype, quant_type="nf4"
                )
                layer.weight = bitsandbytes.nn.Params4bit(child.weight.data, requires_grad=False, quant_type="nf4")
                layer.bias = child.bias
                setattr(parent, name, layer.to("cpu"))
    model.is_loaded_in_4bit = model.is_quantized = True


def quantization(model: nn.Module) -> list[torch.Tensor]:
    """The tensors beside the weights with which bitsandbytes reads 4-bit ones."""
    states = [m.weight.quant_state for m in model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    inner = [state.state2 for state in states]
    return [t for s in states for t in (s.absmax, s.code, s.offset)] + [t for s in inner for t in (s.absmax, s.code)]
