"""bitsandbytes' 4-bit linear layer over weights that are still to come: real layout and operations, no data."""

import torch
from bitsandbytes.functional import QuantState
from bitsandbytes.nn import Linear4bit
from torch import Tensor, nn

BLOCK = 64
"""Weights that share a scale. Source: bitsandbytes 0.50.2, functional.quantize_4bit."""
SCALE_BLOCK = 256
"""Scales that share a scale of their own, with double quantisation. Source: as above."""


class EmptyLinear4bit(Linear4bit):
    """NF4 with double quantisation, as fine-tuning loads it; its tensors are buffers, so that they move with it."""

    def __init__(self, linear: nn.Linear):
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        num_blocks = -(-linear.weight.numel() // BLOCK)
        self.weight = nn.Parameter(torch.empty(-(-linear.weight.numel() // 2), 1, dtype=torch.uint8), False)
        # What adapters look at to see that a weight is quantised.
        self.weight.compress_statistics, self.weight.quant_type, self.weight.quant_state = True, "nf4", None
        self.bias = linear.bias
        self.register_buffer("scales", torch.empty(num_blocks, dtype=torch.uint8), persistent=False)
        self.register_buffer("code", torch.empty(16), persistent=False)
        self.register_buffer("scales_of_scales", torch.empty(-(-num_blocks // SCALE_BLOCK)), persistent=False)
        self.register_buffer("code_of_scales", torch.empty(256), persistent=False)
        self.register_buffer("offset", torch.empty(()), persistent=False)
        self.compute_dtype = self._dtype = linear.weight.dtype
        self.compute_type_is_set, self.quant_state, self.quant_storage = True, None, torch.uint8
        self.support_avx512bf16_for_cpu = False

    def forward(self, x: Tensor) -> Tensor:
        """As Linear4bit, which finds its state on the weight."""
        inner = QuantState(absmax=self.scales_of_scales, blocksize=SCALE_BLOCK, code=self.code_of_scales)
        inner.dtype = torch.float32
        self.weight.quant_state = self.quant_state = QuantState(
            absmax=self.scales,
            shape=torch.Size((self.out_features, self.in_features)),
            code=self.code,
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=self._dtype,
            offset=self.offset,
            state2=inner,
        )
        return super().forward(x)


def linear_without_data(linear: nn.Linear) -> EmptyLinear4bit:
    """The 4-bit layer that would take a linear layer's place."""
    return EmptyLinear4bit(linear)
