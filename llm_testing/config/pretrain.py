"""Every option of a pretraining run.

A default is what leaving the option out meant to clients of the earlier project, for ever; better starting points are
presets (presets.py). Adding an option is one field here, its name in tests/config/names.txt, and the code that uses it.
"""

from typing import Annotated, Literal

from pydantic import Field

from llm_testing.config.limits import LONGEST_NAME, LONGEST_PLACE, LONGEST_WORD
from llm_testing.config.option import Options, Show
from llm_testing.config.shapes import SIZES
from llm_testing.errors import Problem

CORPORA_AT_HAND = ("python-docs", "python-stdlib", "tiny")


class PretrainConfig(Options):
    """What a pretraining run is made of; `resolve` says what follows from it."""

    name: Annotated[str, Field(max_length=LONGEST_NAME), Show("Run name", "Run", level="basic", resume="change")] = ""
    """What to call the run; empty gives it a name made from its corpus and size."""
    corpus: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST_PLACE),
        Show("Corpus", "Data", level="basic", suggestions=(*CORPORA_AT_HAND, "shakespeare", "verdict", "tinystories")),
    ] = "verdict"
    """The text to learn: a corpus by name, a file or folder of yours, a URL, or hf:owner/name of a Hub dataset."""
    val_corpus: Annotated[
        str | None, Field(max_length=LONGEST_PLACE), Show("Validation corpus", "Data", suggestions=CORPORA_AT_HAND)
    ] = None
    """Text to validate on; left empty, the last tenth of the corpus is held out."""
    tokenizer: Annotated[Literal["bpe", "char", "gpt2"], Show("Tokenizer", "Data", level="basic")] = "gpt2"
    """How text becomes tokens: bpe is trained on your corpus, char is one token a character, gpt2 is a download."""
    vocab_size: Annotated[int, Field(ge=300, le=65_536), Show("Vocabulary", "Data", unit="tokens", level="basic")] = (
        4096
    )
    """How many tokens bpe learns; a larger vocabulary shortens the text but costs weights and logits."""

    config_name: Annotated[
        Literal["nano", "small", "medium", "large", "xlarge", "custom"], Show("Model", "Model", level="basic")
    ] = "nano"
    """The model's size; custom takes layers, heads and width from the three options below."""
    n_layer: Annotated[int | None, Field(ge=1, le=128), Show("Layers", "Model", unit="blocks")] = None
    """Depth of a custom model; left empty it is that of nano."""
    n_head: Annotated[int | None, Field(ge=1, le=128), Show("Heads", "Model", unit="heads a block")] = None
    """Attention heads of a custom model; they must divide the width."""
    n_embd: Annotated[int | None, Field(ge=8, le=16_384), Show("Width", "Model", unit="numbers a token")] = None
    """Width of a custom model; memory and time grow with its square."""
    context_length: Annotated[
        int | None, Field(ge=8, le=8192), Show("Context length", "Model", unit="tokens", level="basic")
    ] = None
    """How far back the model can look; longer costs activation memory. Left empty it is the model's usual one."""
    dropout: Annotated[float, Field(ge=0, le=0.9), Show("Dropout", "Model", unit="share")] = 0.1
    """Share of activations dropped while training; helps when the text is read many times, slows learning otherwise."""
    tie_embeddings: Annotated[bool, Show("Tie embeddings", "Model")] = False
    """Let the output head share the token embedding's weights, which saves vocabulary x width parameters."""
    qkv_bias: Annotated[bool, Show("Query, key, value bias", "Model")] = False
    """Give the attention projections biases, as GPT-2 has them."""
    attention_impl: Annotated[Literal["manual", "sdpa"], Show("Attention", "Model")] = "manual"
    """manual builds the score matrix you can look at; sdpa gives the same result with fused kernels and less memory."""
    sdpa_kernel: Annotated[
        Literal["auto", "flash", "memory_efficient", "cudnn", "math"], Show("SDPA kernel", "Model")
    ] = "auto"
    """Force one of the kernels behind sdpa attention; one that cannot run here is refused."""

    epochs: Annotated[
        int, Field(ge=1, le=10_000), Show("Epochs", "Training", unit="passes", level="basic", resume="change")
    ] = 10
    """How often the training text is read; max_steps wins where it is given."""
    max_steps: Annotated[
        int | None,
        Field(ge=1, le=100_000_000),
        Show("Steps at most", "Training", unit="steps", level="basic", resume="change"),
    ] = None
    """Length of the run in optimizer steps, instead of epochs."""
    batch_size: Annotated[
        int, Field(ge=1, le=4096), Show("Batch size", "Training", unit="sequences", level="basic")
    ] = 4
    """Sequences computed at once; larger is steadier and faster a token, and costs activation memory."""
    grad_accum_steps: Annotated[
        int, Field(ge=1, le=4096), Show("Gradient accumulation", "Training", unit="micro-batches", level="basic")
    ] = 1
    """Batches summed before each update; a larger effective batch without more memory."""
    learning_rate: Annotated[float, Field(ge=1e-8, le=1.0), Show("Learning rate", "Training", level="basic")] = 3e-4
    """Size of the updates at their peak; too high diverges, too low learns slowly."""
    warmup_steps: Annotated[int, Field(ge=0, le=10_000_000), Show("Warm-up", "Training", unit="steps")] = 100
    """Steps over which the learning rate rises from zero."""
    lr_schedule: Annotated[Literal["cosine", "linear", "constant"], Show("Schedule", "Training")] = "cosine"
    """How the learning rate falls after the warm-up."""
    min_lr_ratio: Annotated[
        float, Field(ge=0, le=1), Show("Final learning rate", "Training", unit="share of the peak")
    ] = 0.1
    """Where the schedule ends, as a share of the peak."""
    optimizer: Annotated[Literal["adamw", "adamw_8bit", "paged_adamw_8bit"], Show("Optimizer", "Training")] = "adamw"
    """adamw keeps two numbers a weight; the 8-bit ones keep a quarter of that on a GPU, and are far slower on a CPU."""
    weight_decay: Annotated[float, Field(ge=0, le=1), Show("Weight decay", "Training")] = 0.1
    """Pull of the weight matrices towards zero; biases and norm gains are left out."""
    beta1: Annotated[float, Field(ge=0, le=0.9999), Show("Beta 1", "Training")] = 0.9
    """How long the optimizer remembers the gradient's direction."""
    beta2: Annotated[float, Field(ge=0, le=0.999999), Show("Beta 2", "Training")] = 0.999
    """How long the optimizer remembers the gradient's size."""
    grad_clip: Annotated[float, Field(ge=0, le=1e6), Show("Gradient clipping", "Training")] = 1.0
    """Largest norm of an update's gradient; 0 turns clipping off."""
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Show("Precision", "Training")] = "fp32"
    """Number format of the heavy computations; bf16 and fp16 are faster where the hardware has them."""
    gradient_checkpointing: Annotated[bool, Show("Checkpointing of activations", "Training")] = False
    """Recompute each block's activations in the backward pass instead of keeping them: less memory, more time."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Show("Seed", "Training")] = 1337
    """Start of all randomness; the same seed and options give the same run."""

    intermediate_val_freq_steps: Annotated[
        int, Field(ge=0, le=10_000_000), Show("Validate every", "Watching", unit="steps", resume="change")
    ] = 0
    """Steps between validations; 0 chooses from the length of the run."""
    intermediate_val_num_batches: Annotated[
        int, Field(ge=1, le=10_000), Show("Validation batches", "Watching", unit="batches", resume="change")
    ] = 20
    """How many evenly spaced batches each validation looks at; the last one covers the whole split."""
    patience: Annotated[
        int | None, Field(ge=1, le=10_000), Show("Patience", "Watching", unit="validations", resume="change")
    ] = None
    """Stop early after this many validations without a better loss."""
    log_every: Annotated[
        int | None, Field(ge=1, le=100_000), Show("Log every", "Watching", unit="steps", resume="change")
    ] = None
    """Steps between points of the curves; left empty 1 on a CPU and 10 on a GPU, where looking costs time."""
    sample_every: Annotated[
        int | None, Field(ge=0, le=10_000_000), Show("Sample every", "Watching", unit="steps", resume="change")
    ] = None
    """Steps between sample texts; left empty at each validation, 0 never."""
    sample_prompts: Annotated[
        tuple[str, ...], Field(max_length=8, strict=False), Show("Sample prompts", "Watching", resume="change")
    ] = ("The", "Return")
    """Beginnings that the model continues while it learns, one a line."""
    sample_tokens: Annotated[
        int, Field(ge=1, le=2048), Show("Sample length", "Watching", unit="tokens", resume="change")
    ] = 64
    """How long each sample text is."""

    save_checkpoints: Annotated[bool, Show("Keep periodic checkpoints", "Checkpoints", resume="change")] = False
    """Keep checkpoints from along the way; the best, the last and a resume point are always kept."""
    save_every: Annotated[
        int | None, Field(ge=1, le=10_000_000), Show("Save every", "Checkpoints", unit="steps", resume="change")
    ] = None
    """Steps between kept checkpoints; giving it turns them on. Left empty a quarter of the run."""
    keep_checkpoints: Annotated[
        int, Field(ge=1, le=1000), Show("Checkpoints kept", "Checkpoints", unit="checkpoints", resume="change")
    ] = 3
    """How many periodic checkpoints stay; the oldest go first."""
    resume_from: Annotated[str | None, Field(max_length=LONGEST_WORD), Show("Start from checkpoint", "Checkpoints")] = (
        None
    )
    """Fork: begin a new run with the weights, step and optimizer of another run's checkpoint."""

    device: Annotated[
        str,
        Field(pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$"),
        Show("Device", "Machine", suggestions=("auto", "cpu", "cuda:0", "mps")),
    ] = "auto"
    """Where to train; auto takes the first GPU, else the CPU."""
    threads: Annotated[int | None, Field(ge=1, le=1024), Show("CPU threads", "Machine", unit="threads")] = None
    """Cores to compute on; left empty all that this process may use, the page leaving one free of more than two."""
    tf32: Annotated[bool, Show("TF32", "Machine")] = False
    """Let NVIDIA cards round fp32 products to 19 bits: faster, slightly less exact."""

    def problems(self) -> list[Problem]:
        found = []
        width, heads = self.width_and_heads()
        custom = {"n_layer": self.n_layer, "n_head": self.n_head, "n_embd": self.n_embd}
        if self.config_name != "custom":
            found += [
                Problem(
                    name,
                    f"{name} belongs to a custom model, but config_name is {self.config_name}. "
                    f"Set config_name to custom, or leave {name} out.",
                )
                for name, value in custom.items()
                if value is not None
            ]
        elif width % heads:
            fits = [h for h in range(1, heads + 8) if width % h == 0 and h <= width]
            found.append(
                Problem(
                    "n_head",
                    f"Heads must divide the width {width}; received {heads}. "
                    f"{', '.join(map(str, fits[-4:]))} would do.",
                )
            )
        if self.sdpa_kernel != "auto" and self.attention_impl == "manual":
            found.append(
                Problem(
                    "sdpa_kernel",
                    f"An SDPA kernel only works with attention_impl sdpa; received "
                    f"{self.sdpa_kernel} with manual. Choose sdpa, or leave the kernel at auto.",
                )
            )
        return found

    def warmup(self, total_steps: int) -> int:
        """Steps over which the learning rate rises; here whatever the run's length."""
        return self.warmup_steps

    def width_and_heads(self) -> tuple[int, int]:
        """n_embd and n_head of the model that is meant."""
        size = SIZES["nano" if self.config_name == "custom" else self.config_name]
        return self.n_embd or size.n_embd, self.n_head or size.n_head
