"""The trace against peaks that LitGPT's resource table states for an A100 of 40 GB, with nothing fitted.

The recipe is described here as its source has it: LoRA of rank 8 on queries and values, all in bf16, RMSNorm in fp32,
logits in chunks of 128 tokens that Fabric converts to fp32, and the longest sample first, before there are optimizer
states. The nine rows came out -0.38 to +0.17 % off; each row's error stands beside it.

Source: https://github.com/Lightning-AI/litgpt, tutorials/resource-tables.md and finetune/lora.py of 2023.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from llm_testing.estimate.budget import NUM_WORKSPACES, WORKSPACE_BYTES
from llm_testing.estimate.recording import NO_LAYER, Section
from llm_testing.estimate.step import CUDA_ROUNDING, Step
from llm_testing.estimate.trace_cuda import CUDASemantics
from llm_testing.estimate.trace_gpt import without_data
from llm_testing.estimate.trace_recorder import Recorder

CHUNK = 128
RANK = 8


@dataclass(frozen=True)
class Model:
    layers: int
    width: int
    heads: int
    vocab: int
    rotary: float
    mlp: int
    llama: bool = False
    shared_norm: bool = False
    head_bias: bool = False


PHI = Model(24, 2048, 32, 51_200, 0.5, 8192, shared_norm=True, head_bias=True)
STABLELM = Model(16, 4096, 32, 50_688, 0.25, 16_384)
LLAMA_7B = Model(32, 4096, 32, 32_000, 1.0, 11_008, llama=True)
LLAMA_13B = Model(40, 5120, 40, 32_000, 1.0, 13_824, llama=True)
ROWS = [
    pytest.param(PHI, 1044, 1, 4.82, id="phi-1.5 x1"),  # -0.19 %
    pytest.param(PHI, 1044, 2, 6.76, id="phi-1.5 x2", marks=pytest.mark.slow),  # +0.17 %
    pytest.param(PHI, 1044, 4, 10.68, id="phi-1.5 x4", marks=pytest.mark.slow),  # +0.05 %
    pytest.param(STABLELM, 1034, 1, 9.69, id="StableLM-3B x1", marks=pytest.mark.slow),  # +0.08 %
    pytest.param(STABLELM, 1034, 2, 12.10, id="StableLM-3B x2"),  # +0.02 %
    pytest.param(STABLELM, 1034, 4, 16.92, id="StableLM-3B x4", marks=pytest.mark.slow),  # -0.07 %
    pytest.param(LLAMA_7B, 1304, 1, 21.30, id="Llama-2-7B x1"),  # -0.26 %
    pytest.param(LLAMA_7B, 1304, 2, 29.07, id="Llama-2-7B x2", marks=pytest.mark.slow),  # -0.28 %
    pytest.param(LLAMA_13B, 1304, 1, 38.12, id="Llama-2-13B x1", marks=pytest.mark.slow),  # -0.38 %
]


class QKV(nn.Module):
    """LitGPT's LoRAQKVLinear with queries and values enabled."""

    def __init__(self, width, bias):
        super().__init__()
        self.linear = nn.Linear(width, 3 * width, bias=bias)
        self.lora_A = nn.Parameter(torch.empty(2 * RANK, width))
        self.lora_B = nn.Parameter(torch.empty(2 * width, RANK))
        self.register_buffer("lora_ind", torch.empty(2 * width, dtype=torch.int64))

    def forward(self, x):
        before = self.linear(x)
        after_A = F.linear(F.dropout(x, 0.05, True), self.lora_A)
        after_B = F.conv1d(after_A.transpose(-2, -1), self.lora_B.unsqueeze(-1), groups=2).transpose(-2, -1)
        turned = after_B.transpose(0, 1)
        result = turned.new_zeros((*turned.shape[:-1], before.size(-1))).view(-1, before.size(-1))
        result = result.index_copy(1, self.lora_ind, turned.reshape(-1, after_B.size(-1)))
        return before + result.view((*turned.shape[:-1], before.size(-1))).transpose(0, 1) * 2.0


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x):
        wide = x.float()
        normed = wide * torch.rsqrt(torch.mean(wide * wide, dim=-1, keepdim=True) + 1e-5)
        return (self.weight * normed).to(dtype=x.dtype)


class Block(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model, bias = model, not model.llama
        norm = RMSNorm if model.llama else nn.LayerNorm
        self.norm_1 = norm(model.width)
        self.norm_2 = None if model.shared_norm else norm(model.width)
        self.attn, self.proj = QKV(model.width, bias), nn.Linear(model.width, model.width, bias=bias)
        self.fc_1 = nn.Linear(model.width, model.mlp, bias=bias)
        self.fc_2 = nn.Linear(model.width, model.mlp, bias=False) if model.llama else None
        self.mlp_proj = nn.Linear(model.mlp, model.width, bias=bias)

    def forward(self, x, cos, sin):
        first = self.norm_1(x)
        attended = self._attend(first, cos, sin)
        if self.model.llama:
            x = attended + x
            return self._mlp(self.norm_2(x)) + x
        return self._mlp(first if self.norm_2 is None else self.norm_2(x)) + attended + x

    def _attend(self, x, cos, sin):
        B, T, C = x.shape
        heads, part = self.model.heads, cos.size(-1)
        qkv = self.attn(x).view(B, T, heads, 3, C // heads).permute(0, 2, 3, 1, 4)
        q, k, v = (t.reshape(B, -1, T, C // heads) for t in qkv.split((1, 1, 1), dim=2))
        q, k = (torch.cat((rope(t[..., :part], cos, sin), t[..., part:]), dim=-1) for t in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(B, T, C))

    def _mlp(self, x):
        if self.fc_2 is not None:
            return self.mlp_proj(F.silu(self.fc_1(x)) * self.fc_2(x))
        return self.mlp_proj(F.gelu(self.fc_1(x), approximate="tanh" if self.model.shared_norm else "none"))


def rope(x, cos, sin):
    half = x.size(-1) // 2
    rotated = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return ((x * cos) + (rotated * sin)).type_as(x)


class LitGPT(nn.Module):
    def __init__(self, model):
        super().__init__()
        part = int(model.rotary * model.width // model.heads)
        self.lm_head = nn.Linear(model.width, model.vocab, bias=model.head_bias)
        self.wte = nn.Embedding(model.vocab, model.width)
        self.blocks = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.norm = RMSNorm(model.width) if model.llama else nn.LayerNorm(model.width)
        self.register_buffer("cos", torch.empty(2048, part))
        self.register_buffer("sin", torch.empty(2048, part))

    def forward(self, tokens):
        x, T = self.wte(tokens), tokens.size(1)
        cos, sin = self.cos[:T], self.sin[:T]
        for block in self.blocks:
            x = block(x, cos, sin)
        return [self.lm_head(part) for part in self.norm(x).split(CHUNK, dim=1)]


def first_iteration(model, batch):
    tokens, targets = batch
    logits = [chunk.float() for chunk in model(tokens)]
    logits[-1] = logits[-1][..., :-1, :]
    chunks = [chunk.reshape(-1, chunk.size(-1)) for chunk in logits]
    wanted = [chunk.reshape(-1) for chunk in targets[..., 1:].split(CHUNK, dim=1)]
    losses = [
        F.cross_entropy(chunk, target, ignore_index=-1, reduction="none")
        for chunk, target in zip(chunks, wanted, strict=True)
    ]
    (torch.cat(losses).mean() / 128).backward()


def peak_gb(shape, tokens, batch_size) -> float:
    semantics = CUDASemantics()
    with torch.device("meta"):
        on_meta = LitGPT(shape).to(torch.bfloat16)
    on_meta.requires_grad_(False)
    for name, parameter in on_meta.named_parameters():
        parameter.requires_grad_("lora_" in name)
    with FakeTensorMode() as fake, semantics.active():
        model, recorder = without_data(on_meta), Recorder(fake, semantics.scratch, semantics.rewrites())
        with recorder:
            for tensor in [*model.parameters(), *model.buffers()]:
                recorder.watch(tensor, "weights")
            recorder.enter_section(Section(0, "forward", NO_LAYER))
            first_iteration(model, [torch.empty((batch_size, tokens), dtype=torch.int64) for _ in range(2)])
            recorder.close()
    recording = recorder.recording(1, model)
    return Step(recording, CUDA_ROUNDING, (WORKSPACE_BYTES,) * NUM_WORKSPACES).peak.num_bytes / 1e9


@pytest.mark.proof
@pytest.mark.parametrize(("shape", "tokens", "batch_size", "measured_gb"), ROWS)
def test_the_peak_is_within_half_a_hundredth_of_the_published_one(shape, tokens, batch_size, measured_gb):
    assert peak_gb(shape, tokens, batch_size) == pytest.approx(measured_gb, rel=0.005)
