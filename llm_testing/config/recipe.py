"""What the training core reads of a run's options, whichever kind of run it is."""

from typing import Protocol


class Recipe(Protocol):
    """The options of a run as the loop, the step, the optimizer and the schedule read them.

    A pretraining config has them under these names; a fine-tuning config, whose own names are those of earlier
    clients, answers to these too.
    """

    seed: int
    precision: str
    dropout: float
    """Above 0 a step draws random numbers, which are then a function of seed, step and micro-step."""

    optimizer: str
    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    grad_clip: float
    lr_schedule: str
    min_lr_ratio: float

    batch_size: int
    grad_accum_steps: int
    gradient_checkpointing: bool

    log_every: int | None
    intermediate_val_freq_steps: int
    intermediate_val_num_batches: int
    patience: int | None
    sample_every: int | None
    sample_prompts: tuple[str, ...]
    sample_tokens: int

    save_checkpoints: bool
    save_every: int | None
    keep_checkpoints: int

    device: str
    threads: int | None
    tf32: bool

    def warmup(self, total_steps: int) -> int:
        """Steps over which the learning rate rises, of a run of total_steps."""
