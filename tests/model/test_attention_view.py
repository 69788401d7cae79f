"""What is shown as attention is what the model computes with."""

import pytest
import torch

from llm_testing.config.shapes import Shape
from llm_testing.model import gpt
from llm_testing.model.attention_view import attention_of
from llm_testing.model.gpt import build_gpt

SHAPE = Shape(n_layer=3, n_head=2, n_embd=16, context_length=12, vocab_size=40, tie_embeddings=False, qkv_bias=True)
TOKENS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.mark.parametrize("impl", ["manual", "sdpa"])
def test_the_weights_of_every_layer_equal_those_the_manual_path_mixes_with(impl, monkeypatch):
    seen, real = [], gpt.attention_weights
    monkeypatch.setattr(gpt, "attention_weights", lambda q, k: seen.append(real(q, k)) or seen[-1])
    manual = build_gpt(SHAPE, seed=1, attention_impl="manual").eval()
    manual(torch.tensor([TOKENS]))
    shown = build_gpt(SHAPE, seed=1, attention_impl=impl, dropout=0.5).train()
    for layer in range(SHAPE.n_layer):
        weights_HTT = attention_of(shown, TOKENS, layer)
        assert torch.allclose(weights_HTT, seen[layer][0], atol=1e-6)
        assert torch.allclose(weights_HTT.sum(-1), torch.ones(2, len(TOKENS)))
        assert weights_HTT.triu(1).count_nonzero() == 0
    assert shown.training  # it may be the model that is being trained


@pytest.mark.parametrize(("tokens", "layer"), [([], 0), ([1] * 13, 0), ([1], 3), ([1], -1)])
def test_what_there_is_not_is_refused(tokens, layer):
    with pytest.raises(ValueError, match="The model"):
        attention_of(build_gpt(SHAPE, seed=1), tokens, layer)
