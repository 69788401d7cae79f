"""The sizes a GPT comes in, and how many parameters each has.

Counts are computed from the shape, never typed; a test compares them with the model that torch builds.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A GPT's dimensions.

    Args:
        n_layer: number of blocks.
        n_head: attention heads a block; divides n_embd.
        n_embd: width of the residual stream.
        context_length: longest sequence, in tokens.
        vocab_size: number of tokens the model can say.
        tie_embeddings: the output head shares the token embedding's weights.
        qkv_bias: query, key and value have biases.
    """

    n_layer: int
    n_head: int
    n_embd: int
    context_length: int
    vocab_size: int
    tie_embeddings: bool
    qkv_bias: bool

    @property
    def num_parameters(self) -> int:
        """Trainable numbers in the model, shared ones counted once."""
        width = self.n_embd
        attention = 4 * width * width + width + (3 * width if self.qkv_bias else 0)
        mlp = 8 * width * width + 5 * width
        block = attention + mlp + 4 * width
        embeddings = (self.vocab_size + self.context_length) * width
        head = 0 if self.tie_embeddings else self.vocab_size * width
        return embeddings + self.n_layer * block + 2 * width + head


@dataclass(frozen=True)
class Size:
    """A named size: layers, heads, width and its usual context."""

    n_layer: int
    n_head: int
    n_embd: int
    context_length: int


SIZES = {
    "nano": Size(6, 8, 256, 256),
    "small": Size(8, 8, 512, 512),
    "medium": Size(12, 12, 768, 1024),
    "large": Size(12, 16, 1024, 1024),
    "xlarge": Size(24, 16, 1024, 1024),
}
"""config_name's sizes; `custom` starts from nano."""
