"""What the service answers: immutable values that page, REST and command line show as they are."""

from dataclasses import dataclass, field

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import Resolved
from llm_testing.errors import Problem


@dataclass(frozen=True)
class Started:
    """What Start did: position is None where the run began, else its place in the queue, counted from 1."""

    run_id: str
    position: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why a run failed: title and message for everybody, the traceback folded away."""

    title: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Live:
    """A run of this process as it stands now.

    Args:
        version: grows with every change, so that a reader knows whether it has seen this.
        phase, done, total, unit: what it is doing, as in jobs.progress.Progress.
        eta_s: remaining steps times the step time of this session; None until one is known.
        general_text: perplexity of general text, newest and before the run; None where it is not measured.
        error: set once the run has failed.
    """

    version: int
    run_id: str
    name: str
    kind: str
    state: str
    phase: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    step: int = 0
    total_steps: int | None = None
    epoch: float = 0.0
    train_loss: float | None = None
    val_loss: float | None = None
    val_bits_per_byte: float | None = None
    best_val_loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tokens_per_s: float | None = None
    tokens_seen: int = 0
    elapsed_s: float = 0.0
    step_s: float | None = None
    eta_s: float | None = None
    peak_bytes: int | None = None
    num_parameters: int | None = None
    num_trainable: int | None = None
    general_text: dict[str, float] | None = None
    config: dict = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: Failure | None = None


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs.

    Args:
        model: what it trains: a size such as nano or 2x128 (layers x width), or the base model's name.
        dataset: of a fine-tuning run; corpus of a pretraining run.
        context: longest sequence in tokens.
        batch: sequences an update.
        val_loss: over the whole split once the run has ended (then final_val_loss is the same), else the newest.
        sweep: the sweep that it belongs to.
        bytes: on disk, as of the last time anything was saved.
        damaged: what is wrong with its files, or None.
        usable: whether it is a run of this version; of one that is not, the rest may be missing. Damaged values of one
            that is are None.
    """

    run_id: str
    kind: str | None = None
    name: str | None = None
    state: str | None = None
    step: int | None = None
    total_steps: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    final_val_loss: float | None = None
    val_bits_per_byte: float | None = None
    best_val_loss: float | None = None
    num_parameters: int | None = None
    num_trainable: int | None = None
    tokens_seen: int | None = None
    tokens_per_s: float | None = None
    elapsed_s: float | None = None
    peak_bytes: int | None = None
    estimated_bytes: int | None = None
    created_at: str | None = None
    updated_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    model: str | None = None
    corpus: str | None = None
    dataset: str | None = None
    tokenizer: str | None = None
    config_name: str | None = None
    adapter: str | None = None
    context: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    bytes: int | None = None
    resumable_step: int | None = None
    tags: tuple[str, ...] = ()
    notes: str = ""
    starred: bool = False
    archived: bool = False
    sweep: str | None = None
    parent: str | None = None
    damaged: str | None = None
    usable: bool = False


@dataclass(frozen=True)
class Points:
    """Rows of a journal after a cursor.

    Args:
        next: the cursor to ask with next time.
        rewound_to: where not None, rows that the asker kept beyond this step are void: training went back to it.
    """

    rows: list[dict]
    next: int
    rewound_to: int | None = None


@dataclass(frozen=True)
class Expected:
    """What a run will probably take; None where nothing is known yet.

    Args:
        seen_alike: the time is that of an earlier run here that computed the same way; else it is scaled from another.
        before_reading: steps and tokens are guessed from the corpus's size.
        checkpoint_bytes: one checkpoint with its optimizer state.
        train_tokens: of the corpus; known once a run here has read it.
    """

    steps: int | None
    tokens: int | None
    seconds: float | None
    seen_alike: bool
    before_reading: bool
    checkpoint_bytes: int
    train_tokens: int | None = None


@dataclass(frozen=True)
class Preview:
    """What a draft means before Start.

    Args:
        problems: every option that would be refused; config and resolved are None then.
        sentences: what will happen, for people.
    """

    problems: tuple[Problem, ...] = ()
    config: PretrainConfig | None = None
    resolved: Resolved | None = None
    sentences: tuple[str, ...] = ()
    expected: Expected | None = None


@dataclass(frozen=True)
class MachineView:
    """The machine as this process may use it."""

    device: str
    device_name: str
    device_memory_bytes: int
    cores: int
    threads: int
    memory_total_bytes: int
    memory_available_bytes: int
    fast_bf16: bool
    sdpa_kernels: tuple[str, ...]
    torch_version: str
