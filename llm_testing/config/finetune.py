"""Every option of a fine-tuning run.

A default is what leaving the option out meant to clients of the earlier project, for ever. The names are theirs; the
training core reads them under its own (`Recipe`), which the properties below give. Adding an option is one field here,
its name in tests/config/finetune_names.txt, and the code that uses it.
"""

from math import ceil
from typing import Annotated, Literal

from pydantic import Field

from llm_testing.config.limits import LONGEST_NAME, LONGEST_PLACE, LONGEST_WORD
from llm_testing.config.option import Options, Show
from llm_testing.errors import Problem

PERSONA = "persona"
"""The dataset that comes with the program."""


class FinetuneConfig(Options):
    """What a fine-tuning run is made of."""

    name: Annotated[str, Field(max_length=LONGEST_NAME), Show("Run name", "Run", level="basic", resume="change")] = ""
    """What to call the run; empty gives it a name made from its model and dataset."""
    model_name: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST_PLACE),
        Show("Base model", "Model", level="basic", suggestions=("HuggingFaceTB/SmolLM2-135M-Instruct",)),
    ] = "unsloth/Qwen2.5-7B-Instruct"
    """The model to tune: one of the list, any Hub id, a folder of safetensors, a GGUF file, or a run of yours."""
    adapter: Annotated[Literal["lora", "qlora", "full"], Show("Method", "Model", level="basic")] = "qlora"
    """lora trains small matrices beside frozen weights, qlora the same over weights in 4 bits, full all weights."""
    lora_r: Annotated[int, Field(ge=1, le=1024), Show("LoRA rank", "Model", unit="columns", level="basic")] = 32
    """Width of the matrices that are trained; wider learns more and costs memory."""
    lora_alpha: Annotated[int, Field(ge=1, le=4096), Show("LoRA alpha", "Model")] = 32
    """Strength of the adapter: its output is multiplied by alpha over rank."""
    lora_dropout: Annotated[float, Field(ge=0, le=0.9), Show("LoRA dropout", "Model", unit="share")] = 0.05
    """Share of the adapter's inputs dropped while training."""
    use_rslora: Annotated[bool, Show("Rank-stabilised LoRA", "Model")] = False
    """Divide alpha by the root of the rank instead of the rank, which keeps high ranks learning."""
    use_dora: Annotated[bool, Show("DoRA", "Model")] = False
    """Train the size and the direction of each weight apart: closer to full tuning, and slower."""
    target_modules: Annotated[
        tuple[str, ...],
        Field(max_length=32, strict=False),
        Show("Adapted layers", "Model", suggestions=("q_proj", "k_proj", "v_proj", "o_proj")),
    ] = ()
    """Names of the linear layers that get an adapter; empty takes those known for the model's family, or all."""

    dataset: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST_PLACE),
        Show("Dataset", "Data", level="basic", suggestions=(PERSONA, "yahma/alpaca-cleaned")),
    ] = "yahma/alpaca-cleaned"
    """Rows to learn: persona (built in), a file or folder of yours (json, jsonl, csv, parquet, txt), or a Hub id."""
    dataset_config: Annotated[str | None, Field(max_length=LONGEST_WORD), Show("Dataset configuration", "Data")] = None
    """Which configuration of a Hub dataset to take, where it has several."""
    dataset_split: Annotated[str, Field(min_length=1, max_length=LONGEST_WORD), Show("Dataset split", "Data")] = "train"
    """Which split of a Hub dataset to take."""
    data_format: Annotated[
        Literal["auto", "alpaca", "chat", "prompt_completion", "sharegpt", "text"],
        Show("Row format", "Data"),
    ] = "auto"
    """How a row is read; auto looks at the names of its fields."""
    columns: Annotated[tuple[str, ...], Field(max_length=16, strict=False), Show("Column mapping", "Data")] = ()
    """Fields that have other names in your rows, as ours=yours, one a line: instruction=question."""
    n_examples: Annotated[int, Field(ge=0, le=100_000_000), Show("Examples", "Data", unit="rows", level="basic")] = 500
    """How many rows to take, from the first; 0 takes all."""
    val_share: Annotated[float, Field(ge=0.001, le=0.5), Show("Held out", "Data", unit="share of the rows")] = 0.1
    """Rows kept from training, to see whether what is learned holds for others."""
    chat_template: Annotated[Literal["auto", "alpaca", "chatml", "plain"], Show("Chat template", "Data")] = "auto"
    """How a conversation becomes text; auto is the model's own, or alpaca where it has none."""
    system_prompt: Annotated[str, Field(max_length=10_000), Show("System prompt", "Data")] = ""
    """Put before conversations that bring none of their own."""
    answers_only: Annotated[bool, Show("Learn answers only", "Data", level="basic")] = True
    """Count the loss on the answers alone, not on the questions."""
    max_seq_length: Annotated[
        int, Field(ge=8, le=131_072), Show("Sequence length", "Data", unit="tokens", level="basic")
    ] = 1024
    """Longest sequence; longer rows are cut at their end, longer texts are split."""
    packing: Annotated[bool | None, Show("Packing", "Data")] = None
    """Fill sequences with several examples that do not see each other; left empty it follows fast mode."""

    num_epochs: Annotated[
        int, Field(ge=1, le=10_000), Show("Epochs", "Training", unit="passes", level="basic", resume="change")
    ] = 1
    """How often the rows are read; max_steps wins where it is given."""
    max_steps: Annotated[
        int | None,
        Field(ge=1, le=100_000_000),
        Show("Steps at most", "Training", unit="steps", level="basic", resume="change"),
    ] = None
    """Length of the run in optimizer steps, instead of epochs."""
    batch_size: Annotated[
        int, Field(ge=1, le=4096), Show("Batch size", "Training", unit="sequences", level="basic")
    ] = 4
    """Sequences computed at once; larger is faster a token, and costs activation memory."""
    gradient_accumulation: Annotated[
        int, Field(ge=1, le=4096), Show("Gradient accumulation", "Training", unit="micro-batches", level="basic")
    ] = 4
    """Batches summed before each update; a larger effective batch without more memory."""
    learning_rate: Annotated[float, Field(ge=1e-8, le=1.0), Show("Learning rate", "Training", level="basic")] = 2e-4
    """Size of the updates at their peak; full tuning wants about a tenth of what adapters do."""
    warmup_ratio: Annotated[float, Field(ge=0, le=1), Show("Warm-up", "Training", unit="share of the steps")] = 0.1
    """Share of the run over which the learning rate rises from zero."""
    lr_schedule: Annotated[Literal["cosine", "linear", "constant"], Show("Schedule", "Training")] = "linear"
    """How the learning rate falls after the warm-up."""
    min_lr_ratio: Annotated[
        float, Field(ge=0, le=1), Show("Final learning rate", "Training", unit="share of the peak")
    ] = 0.0
    """Where the schedule ends, as a share of the peak."""
    optim: Annotated[Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"], Show("Optimizer", "Training")] = (
        "adamw_8bit"
    )
    """adamw_torch keeps two numbers a trained weight; the 8-bit ones a quarter of that, and are slow on a CPU."""
    weight_decay: Annotated[float, Field(ge=0, le=1), Show("Weight decay", "Training")] = 0.0
    """Pull of the trained matrices towards zero."""
    beta1: Annotated[float, Field(ge=0, le=0.9999), Show("Beta 1", "Training")] = 0.9
    """How long the optimizer remembers the gradient's direction."""
    beta2: Annotated[float, Field(ge=0, le=0.999999), Show("Beta 2", "Training")] = 0.999
    """How long the optimizer remembers the gradient's size."""
    grad_clip: Annotated[float, Field(ge=0, le=1e6), Show("Gradient clipping", "Training")] = 1.0
    """Largest norm of an update's gradient; 0 turns clipping off."""
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Show("Precision", "Training")] = "bf16"
    """Number format of the heavy computations; bf16 and fp16 are faster where the hardware has them."""
    base_dtype: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Show("Weights held in", "Model")] = "auto"
    """Number format of the base model's weights; auto: frozen ones in the run's precision, trained ones in fp32."""
    fast_mode: Annotated[bool, Show("Fast mode", "Training", level="basic")] = False
    """Packing, fused attention and layers, logits of learned tokens only; off, padding and the model's own way."""
    use_gradient_checkpointing: Annotated[bool, Show("Checkpointing of activations", "Training")] = True
    """Recompute each block's activations in the backward pass instead of keeping them: less memory, more time."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Show("Seed", "Training")] = 1337
    """Start of all randomness; the same seed and options give the same run."""

    logging_steps: Annotated[
        int, Field(ge=1, le=100_000), Show("Log every", "Watching", unit="steps", resume="change")
    ] = 10
    """Steps between points of the curves."""
    eval_steps: Annotated[
        int, Field(ge=0, le=10_000_000), Show("Validate every", "Watching", unit="steps", resume="change")
    ] = 50
    """Steps between validations on the held-out rows; 0 chooses from the length of the run."""
    eval_batches: Annotated[
        int, Field(ge=1, le=10_000), Show("Validation batches", "Watching", unit="batches", resume="change")
    ] = 20
    """How many evenly spaced batches each validation looks at; the last one looks at all."""
    patience: Annotated[
        int | None, Field(ge=1, le=10_000), Show("Patience", "Watching", unit="validations", resume="change")
    ] = None
    """Stop early after this many validations without a better loss."""
    sample_every: Annotated[
        int | None, Field(ge=0, le=10_000_000), Show("Answer every", "Watching", unit="steps", resume="change")
    ] = None
    """Steps between answers to the prompts below; left empty at each validation, 0 never."""
    sample_prompts: Annotated[
        tuple[str, ...], Field(max_length=8, strict=False), Show("Prompts", "Watching", resume="change")
    ] = ("What is your name?", "What is the capital of France?")
    """Questions that the model answers while it learns, one a line; the first answers are the base model's."""
    sample_tokens: Annotated[
        int, Field(ge=1, le=2048), Show("Answer length", "Watching", unit="tokens", resume="change")
    ] = 64
    """How long each answer may be."""
    measure_forgetting: Annotated[bool, Show("Measure forgetting", "Watching")] = False
    """Take the perplexity of general English (pages of python-docs) before and after, to see what is forgotten."""

    save_adapter: Annotated[bool, Show("Save the adapter", "Checkpoints", resume="change")] = True
    """Write the finished adapter (or the whole model, for full) as a standard folder beside the checkpoints."""
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
    """Fork: begin a new run with the adapter of another fine-tuning run's checkpoint, on the same or new rows."""

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
        for entry in self.columns:
            ours, sign, theirs = entry.partition("=")
            if not (sign and ours.strip() in FIELDS and theirs.strip()):
                found.append(
                    Problem(
                        "columns",
                        f"A column mapping looks like instruction=question, and ours is one of {', '.join(FIELDS)}; "
                        f"received {entry!r}.",
                    )
                )
        if self.adapter == "full" and self.weights_dtype == "fp16":
            found.append(
                Problem(
                    "base_dtype",
                    "Weights that are trained cannot be held in fp16, whose gradients overflow. "
                    "Choose auto, fp32 or bf16, or an adapter.",
                )
            )
        return found

    @property
    def column_map(self) -> dict[str, str]:
        """The names of fields in the rows, by ours."""
        return {ours.strip(): theirs.strip() for ours, _, theirs in (entry.partition("=") for entry in self.columns)}

    @property
    def packs(self) -> bool:
        """Whether sequences hold several examples."""
        return self.fast_mode if self.packing is None else self.packing

    @property
    def weights_dtype(self) -> str:
        """What base_dtype means: fp32, bf16 or fp16."""
        if self.base_dtype != "auto":
            return self.base_dtype
        return "fp32" if self.adapter == "full" else self.precision

    # What the training core reads, under its names.

    @property
    def dropout(self) -> float:
        """What a step draws random numbers for."""
        return 0.0 if self.adapter == "full" else self.lora_dropout

    @property
    def optimizer(self) -> str:
        return "adamw" if self.optim == "adamw_torch" else self.optim

    @property
    def grad_accum_steps(self) -> int:
        return self.gradient_accumulation

    @property
    def gradient_checkpointing(self) -> bool:
        return self.use_gradient_checkpointing

    @property
    def log_every(self) -> int:
        return self.logging_steps

    @property
    def intermediate_val_freq_steps(self) -> int:
        return self.eval_steps

    @property
    def intermediate_val_num_batches(self) -> int:
        return self.eval_batches

    @property
    def epochs(self) -> int:
        return self.num_epochs

    def warmup(self, total_steps: int) -> int:
        """Steps over which the learning rate rises, rounded up as transformers does."""
        return ceil(self.warmup_ratio * total_steps)


FIELDS = ("instruction", "input", "output", "messages", "conversations", "prompt", "completion", "text", "system")
"""Names of fields in rows that `columns` can map."""
