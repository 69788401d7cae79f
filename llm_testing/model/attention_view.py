"""What a model looks at: the attention weights of one layer for one text, from the manual path's own function.

Shapes: H heads, T tokens.
"""

import torch
from torch import Tensor

from llm_testing.model.gpt import GPT, attention_weights


@torch.no_grad()
def attention_of(model: GPT, tokens: list[int], layer: int) -> Tensor:
    """The weights of every head of a layer, (H, T, T) in fp32 on the CPU; rows sum to 1, the future is 0.

    Both attention paths compute these weights; only the manual one builds them, so they are built here for either.

    Args:
        tokens: at least one, at most as many as the context holds.
        layer: from 0.

    Raises:
        ValueError: for a layer that there is not, or too many tokens.
    """
    if not 0 <= layer < len(model.blocks):
        raise ValueError(f"The model has the layers 0 to {len(model.blocks) - 1}, but was asked for {layer}.")
    if not 0 < len(tokens) <= model.shape.context_length:
        raise ValueError(f"The model looks at 1 to {model.shape.context_length} tokens, but received {len(tokens)}.")
    device = model.token_embedding.weight.device
    was_training = model.training
    model.eval()
    x_BTC = model.token_embedding(torch.tensor([tokens], device=device))
    x_BTC = x_BTC + model.position_embedding.weight[: len(tokens)]
    for block in model.blocks[:layer]:
        x_BTC = block(x_BTC)
    block = model.blocks[layer]
    q_BHTD, k_BHTD, _ = block.attention.heads(block.norm_1(x_BTC))
    weights_HTT = attention_weights(q_BHTD, k_BHTD)[0].float().cpu()
    model.train(was_training)
    return weights_HTT
