"""What the training loop tells the world. `service` joins these to the run folder and to the page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Logged:
    """One point of the curves; its fields are the columns of metrics.jsonl.

    Args:
        step: updates done; 0 is before the first.
        epoch: passes over the training text, with a fraction.
        train_loss: nats a token, mean over the steps since the last point; None where nothing was trained since.
        val_loss, val_bits_per_byte: of the evenly spaced validation batches, where one was due.
        final_val_loss, final_val_bits_per_byte, final_val_tokens: of the whole split, at the end of the run.
        lr: learning rate of the last update.
        grad_norm: before clipping, of the last update; None where the update was skipped.
        tokens_seen: trained on in all, in this and earlier sessions.
        tokens_per_s: of training alone, since the last point.
        elapsed_s: time spent in the run, pauses left out, over all sessions.
        step_s: mean duration of an update since the last point.
        peak_bytes: CUDA: most memory allocated so far; CPU: most memory the process held at a point.
        skipped_steps: updates skipped so far for fp16 overflow.
    """

    step: int
    epoch: float
    train_loss: float | None = None
    val_loss: float | None = None
    val_bits_per_byte: float | None = None
    final_val_loss: float | None = None
    final_val_bits_per_byte: float | None = None
    final_val_tokens: int | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tokens_seen: int = 0
    tokens_per_s: float | None = None
    elapsed_s: float = 0.0
    step_s: float | None = None
    peak_bytes: int | None = None
    skipped_steps: int = 0


@dataclass(frozen=True)
class Sampled:
    """A text that the model wrote at a step."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class Remembered:
    """How well a fine-tuned model still foretells general text.

    Args:
        perplexity: of the model at this step, over num_tokens.
        before: the same when the run began; the smaller it is against perplexity, the more was forgotten.
    """

    step: int
    perplexity: float
    before: float
    num_tokens: int


@dataclass(frozen=True)
class Measured:
    """The most bytes that one step took on the CPU, of a batch as large as the run's largest."""

    step: int
    allocated_bytes: int


@dataclass(frozen=True)
class Warned:
    """Something that the reader of the run should know, at a step."""

    step: int
    message: str


@dataclass(frozen=True)
class Paused:
    """The loop waits for resume or stop."""

    step: int


@dataclass(frozen=True)
class Resumed:
    """The loop goes on after a pause."""

    step: int


Event = Logged | Sampled | Remembered | Measured | Warned | Paused | Resumed
