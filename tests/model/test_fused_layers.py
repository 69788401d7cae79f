"""Liger's layers, where it is installed: the same numbers, in this model alone."""

import importlib.util

import pytest
import torch
from transformers import AutoModelForCausalLM

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.model.fused_layers import PACKAGE, fuse_layers
from llm_testing.model.open_model import attention_of, read_config, tuned
from tests.estimate.open_parts import MODELS

THERE = importlib.util.find_spec(PACKAGE) is not None
needs_liger = pytest.mark.skipif(not THERE, reason="needs the optional package liger-kernel")
FAST = FinetuneConfig.build({"adapter": "lora", "lora_dropout": 0.0, "precision": "fp32", "fast_mode": True})


def model(family):
    config = read_config(MODELS[family])
    config._attn_implementation = attention_of(FAST)
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config)


def fused(module):
    """Names of the layers that are Liger's: it puts methods into the very modules."""
    return {m._get_name() for m in module.modules() if "Liger" in m._get_name()}


@pytest.mark.skipif(THERE, reason="liger-kernel is installed")
def test_without_the_package_nothing_is_changed():
    made = model("llama")
    assert fuse_layers(made) is False and not fused(made)


@needs_liger
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma3", "phi3"])
def test_norms_and_gated_layers_of_this_model_alone_are_fused(family):
    made = model(family)
    assert fuse_layers(made) is True
    assert any("RMSNorm" in name for name in fused(made)) and len(fused(made)) == 2
    assert not fused(model(family))


@needs_liger
def test_a_family_without_such_layers_is_left_as_it_is():
    made = model("gpt2")
    assert fuse_layers(made) is False and not fused(made)


@needs_liger
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma3", "phi3"])
def test_the_loss_and_its_gradient_stay_the_same(family):
    x = torch.randint(3, 500, (2, 24), generator=torch.Generator().manual_seed(2)).cuda()
    found = []
    for change in (lambda made: None, fuse_layers):
        made = model(family).cuda()
        change(made)
        torch.manual_seed(2)
        made = tuned(made, FAST)
        loss = made.loss_sum(x, torch.roll(x, -1, 1))
        loss.backward()
        found.append((loss.detach(), *(p.grad for p in made.parameters() if p.requires_grad)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-4)
