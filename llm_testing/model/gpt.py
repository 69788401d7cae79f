"""A GPT that is compatible with GPT-2, in one file that is meant to be read.

Like GPT-2: learned positions, norms before attention and MLP, tanh GELU, residual projections started small. Chosen by
option: attention by the readable path or by torch's fused kernels, a tied or a separate output head, biases on query,
key and value, recomputing each block in the backward pass.

Shapes: B sequences, T tokens, C width, H heads, D head width (C = H * D), V vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from llm_testing.config.shapes import Shape
from llm_testing.model import kernels


def attention_weights(q_BHTD: Tensor, k_BHTD: Tensor) -> Tensor:
    """How much each position looks at itself and each earlier one: rows sum to 1, the future is 0.

    Args:
        q_BHTD, k_BHTD: queries and keys of one dtype and device.

    Returns:
        (B, H, T, T): row t holds the weights with which position t mixes positions 0..t.

    Source: Vaswani et al. 2017, eq. 1, https://arxiv.org/abs/1706.03762
    """
    scores_BHTT = (q_BHTD @ k_BHTD.transpose(-2, -1)) / math.sqrt(q_BHTD.size(-1))
    future_TT = torch.ones(scores_BHTT.shape[-2:], dtype=torch.bool, device=q_BHTD.device).triu(1)
    return scores_BHTT.masked_fill(future_TT, float("-inf")).softmax(dim=-1)


class Attention(nn.Module):
    """Causal self-attention, by the score matrix (manual) or by torch's fused kernels (sdpa)."""

    def __init__(self, shape: Shape, dropout: float, impl: str, kernel: str):
        super().__init__()
        self.n_head, self.dropout, self.impl, self.kernel = shape.n_head, dropout, impl, kernel
        self.qkv = nn.Linear(shape.n_embd, 3 * shape.n_embd, bias=shape.qkv_bias)
        self.proj = nn.Linear(shape.n_embd, shape.n_embd)

    def heads(self, x_BTC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, T, D)."""
        B, T, C = x_BTC.shape
        return tuple(p.view(B, T, self.n_head, -1).transpose(1, 2) for p in self.qkv(x_BTC).split(C, dim=2))

    def forward(self, x_BTC: Tensor) -> Tensor:
        q, k, v = self.heads(x_BTC)
        dropped = self.dropout if self.training else 0.0
        if self.impl == "manual":
            # Keeps B*H*T*T weights for the backward pass; sdpa never builds them.
            mixed_BHTD = F.dropout(attention_weights(q, k), dropped, self.training) @ v
        elif self.kernel != "auto" and self.training:
            mixed_BHTD = kernels.attention(self.kernel, q, k, v, dropped)
        else:
            # Torch chooses the kernel: in evaluation and for samples always, whichever one training is held to.
            mixed_BHTD = F.scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True)
        y_BTC = self.proj(mixed_BHTD.transpose(1, 2).reshape(x_BTC.shape))
        return F.dropout(y_BTC, self.dropout, self.training)


class Block(nn.Module):
    """Attention and MLP, each added to the residual stream after a norm of its own."""

    def __init__(self, shape: Shape, dropout: float, impl: str, kernel: str):
        super().__init__()
        self.norm_1 = nn.LayerNorm(shape.n_embd)
        self.attention = Attention(shape, dropout, impl, kernel)
        self.norm_2 = nn.LayerNorm(shape.n_embd)
        self.mlp_in = nn.Linear(shape.n_embd, 4 * shape.n_embd)
        self.mlp_out = nn.Linear(4 * shape.n_embd, shape.n_embd)
        self.dropout = dropout

    def forward(self, x_BTC: Tensor) -> Tensor:
        x_BTC = x_BTC + self.attention(self.norm_1(x_BTC))
        hidden_BT4C = F.gelu(self.mlp_in(self.norm_2(x_BTC)), approximate="tanh")
        return x_BTC + F.dropout(self.mlp_out(hidden_BT4C), self.dropout, self.training)


class GPT(nn.Module):
    """Tokens in, logits of the next token out.

    Args:
        shape: dimensions, tying and biases.
        dropout: share of activations dropped in training mode.
        attention_impl: "manual" or "sdpa"; they agree to rounding.
        sdpa_kernel: "auto", or one of those that can run here (`model.device.sdpa_kernels` says which).
        gradient_checkpointing: recompute each block in the backward pass, in training mode only.
    """

    def __init__(
        self,
        shape: Shape,
        dropout: float = 0.0,
        attention_impl: str = "sdpa",
        sdpa_kernel: str = "auto",
        gradient_checkpointing: bool = False,
    ):
        super().__init__()
        self.shape, self.dropout, self.gradient_checkpointing = shape, dropout, gradient_checkpointing
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.n_embd)
        self.position_embedding = nn.Embedding(shape.context_length, shape.n_embd)
        self.blocks = nn.ModuleList(Block(shape, dropout, attention_impl, sdpa_kernel) for _ in range(shape.n_layer))
        self.norm = nn.LayerNorm(shape.n_embd)
        self.head = nn.Linear(shape.n_embd, shape.vocab_size, bias=False)
        if shape.tie_embeddings:
            self.head.weight = self.token_embedding.weight

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits (B, T, V): row t scores what follows tokens 0..t.

        Raises:
            ValueError: for more tokens than the context holds.
        """
        return self.head(self.hidden(tokens_BT))

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """The residual stream after the last norm, (B, T, C)."""
        T = tokens_BT.size(1)
        if T > self.shape.context_length:
            raise ValueError(f"The model looks back {self.shape.context_length} tokens, but received {T}.")
        x_BTC = self.token_embedding(tokens_BT) + self.position_embedding.weight[:T]
        x_BTC = F.dropout(x_BTC, self.dropout, self.training)
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                x_BTC = checkpoint(block, x_BTC, use_reentrant=False)
            else:
                x_BTC = block(x_BTC)
        return self.norm(x_BTC)

    def logits_after(self, tokens: list[int], memory: dict) -> Tensor:
        """Logits (V,) of what follows tokens.

        Computed from the last context_length tokens anew, memory unused: simple, and quick enough for a small model.
        """
        seen_BT = torch.tensor([tokens[-self.shape.context_length :]], device=self.token_embedding.weight.device)
        return self.head(self.hidden(seen_BT)[:, -1]).flatten()

    @torch.no_grad()
    def start_weights(self, generator: torch.Generator) -> None:
        """Draw GPT-2's starting weights from a private generator; order and values depend on nothing else.

        Source: Radford et al. 2019, section 2.3: residual projections are scaled by 1/sqrt(2 * layers).
        """
        residual_std = 0.02 / math.sqrt(2 * self.shape.n_layer)
        for name, weight in self.named_parameters():
            if name.endswith(".bias"):
                weight.zero_()
            elif "norm" in name:
                weight.fill_(1.0)
            else:
                std = residual_std if name.endswith(("proj.weight", "mlp_out.weight")) else 0.02
                nn.init.normal_(weight, std=std, generator=generator)


def build_gpt(shape: Shape, seed: int, **choices) -> GPT:
    """A GPT on the CPU with starting weights drawn from `seed`; choices are GPT's own arguments."""
    with torch.device("meta"):
        model = GPT(shape, **choices)
    model = model.to_empty(device="cpu")
    if shape.tie_embeddings:
        model.head.weight = model.token_embedding.weight
    model.start_weights(torch.Generator().manual_seed(seed))
    return model
