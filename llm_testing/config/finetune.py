"""Options of a fine-tuning run, as far as they decide what is trained and what it takes in memory.

A default is what leaving the option out meant to clients of the earlier project, for ever.
"""

from typing import Annotated, Literal

from pydantic import Field

from llm_testing.config.option import Options, Show
from llm_testing.errors import Problem


class FinetuneConfig(Options):
    """What a fine-tuning run is made of."""

    model_name: Annotated[str, Field(min_length=1, max_length=4096), Show("Base model", "Model", level="basic")] = (
        "unsloth/Qwen2.5-7B-Instruct"
    )
    """The model to start from: a name from the Hub, or a folder with its config.json."""
    max_seq_length: Annotated[
        int, Field(ge=8, le=131_072), Show("Sequence length", "Data", unit="tokens", level="basic")
    ] = 1024
    """Longest example; what is longer is cut. Longer costs activation memory."""
    packing: Annotated[bool, Show("Packing", "Data")] = False
    """Fill each sequence with several examples instead of padding short ones: no attention mask is needed."""

    adapter: Annotated[Literal["qlora", "lora", "full"], Show("Method", "Adapter", level="basic")] = "qlora"
    """lora trains small matrices beside frozen weights, qlora holds those in 4 bits, full trains all weights."""
    lora_r: Annotated[int, Field(ge=1, le=1024), Show("Rank", "Adapter", level="basic")] = 32
    """Width of the adapter's matrices; more can learn more, and costs weights and optimizer states."""
    lora_alpha: Annotated[int, Field(ge=1, le=4096), Show("Alpha", "Adapter")] = 32
    """Strength of the adapter, divided by its rank."""
    lora_dropout: Annotated[float, Field(ge=0, le=0.9), Show("Adapter dropout", "Adapter", unit="share")] = 0.05
    """Share of what enters the adapter that is dropped while training."""
    target_modules: Annotated[tuple[str, ...], Field(max_length=32, strict=False), Show("Layers", "Adapter")] = ()
    """Names of linear layers that get an adapter, like q_proj; none named means all but the head."""
    base_dtype: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Show("Weights held in", "Adapter")] = "auto"
    """Number format of the base model's weights; auto: frozen ones in the run's precision, trained ones in fp32."""

    batch_size: Annotated[
        int, Field(ge=1, le=4096), Show("Batch size", "Training", unit="sequences", level="basic")
    ] = 4
    """Sequences computed at once; larger is steadier and faster a token, and costs activation memory."""
    gradient_accumulation: Annotated[
        int, Field(ge=1, le=4096), Show("Gradient accumulation", "Training", unit="micro-batches", level="basic")
    ] = 4
    """Batches summed before each update; a larger effective batch without more memory."""
    learning_rate: Annotated[float, Field(ge=1e-8, le=1.0), Show("Learning rate", "Training", level="basic")] = 2e-4
    """Size of the updates at their peak; too high diverges, too low learns slowly."""
    optim: Annotated[Literal["adamw_8bit", "paged_adamw_8bit", "adamw_torch"], Show("Optimizer", "Training")] = (
        "adamw_8bit"
    )
    """adamw_torch keeps two numbers a trained weight; the 8-bit ones keep a quarter of that."""
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Show("Precision", "Training")] = "bf16"
    """Number format of the heavy computations."""
    use_gradient_checkpointing: Annotated[bool, Show("Checkpointing of activations", "Training")] = True
    """Recompute each block's activations in the backward pass instead of keeping them: less memory, more time."""
    weight_decay: Annotated[float, Field(ge=0, le=1), Show("Weight decay", "Training")] = 0.0
    """Pull of the trained matrices towards zero."""
    beta1: Annotated[float, Field(ge=0, le=0.9999), Show("Beta 1", "Training")] = 0.9
    """How long the optimizer remembers the gradient's direction."""
    beta2: Annotated[float, Field(ge=0, le=0.999999), Show("Beta 2", "Training")] = 0.999
    """How long the optimizer remembers the gradient's size."""
    grad_clip: Annotated[float, Field(ge=0, le=1e6), Show("Gradient clipping", "Training")] = 1.0
    """Largest norm of an update's gradient; 0 turns clipping off."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Show("Seed", "Training")] = 1337
    """Start of all randomness; the same seed and options give the same run."""

    def problems(self) -> list[Problem]:
        if self.adapter == "full" and self.weights_dtype == "fp16":
            return [
                Problem(
                    "base_dtype",
                    "Weights that are trained cannot be held in fp16, whose gradients overflow. "
                    "Choose auto, fp32 or bf16, or an adapter.",
                )
            ]
        return []

    # What the step and the optimizer read, under the names that they have in pretraining.

    @property
    def optimizer(self) -> str:
        """The optimizer by its name in pretraining."""
        return "adamw" if self.optim == "adamw_torch" else self.optim

    @property
    def dropout(self) -> float:
        """The share that a step draws random numbers for."""
        return 0.0 if self.adapter == "full" else self.lora_dropout

    @property
    def weights_dtype(self) -> str:
        """What base_dtype means: fp32, bf16 or fp16."""
        if self.base_dtype != "auto":
            return self.base_dtype
        return "fp32" if self.adapter == "full" else self.precision
