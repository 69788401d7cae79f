"""From a config and prepared data to a run that can start: device, threads, model, optimizer, standing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.recipe import Recipe
from llm_testing.config.resolve import Resolved, shape_of
from llm_testing.data.prepare import PreparedData
from llm_testing.data.windows import TrainWindows, ValWindows
from llm_testing.errors import ConfigError, Problem
from llm_testing.jobs.progress import Report
from llm_testing.model.device import environment, find_device, sdpa_kernels
from llm_testing.model.generate import Sampling
from llm_testing.model.gpt import GPT, build_gpt
from llm_testing.model.weights import read_weights, to_device, write_weights
from llm_testing.train.events import Event
from llm_testing.train.loop import Commands, TrainingRun
from llm_testing.train.optim import build_optimizer
from llm_testing.train.sampling import Sampler
from llm_testing.train.state import Snapshot, Standing, go_on_from
from llm_testing.train.step import TrainingStep


@dataclass(frozen=True)
class Surroundings:
    """Where a run computes.

    Args:
        record: what run.json keeps of it.
        warnings: why a resumed run may not be bit-exact here.
    """

    device: torch.device
    threads: int
    record: dict
    warnings: tuple[str, ...] = ()


def check_device(config: Recipe) -> torch.device:
    """The device of a config, after refusing what cannot run on it.

    Raises:
        ConfigError: for a device, kernel or number format that this machine does not have.
    """
    device = find_device(config.device)
    problems = []
    if config.tf32 and device.type != "cuda":
        problems.append(
            Problem("tf32", f"TF32 is a number format of NVIDIA cards; this run's device is {device}. Leave it off.")
        )
    if isinstance(config, PretrainConfig) and config.sdpa_kernel != "auto":
        width, heads = config.width_and_heads()
        runs = sdpa_kernels(device, config.precision, width // heads, config.dropout)
        if config.sdpa_kernel not in runs:
            problems.append(
                Problem(
                    "sdpa_kernel",
                    f"The kernel {config.sdpa_kernel} cannot run here on {device} in "
                    f"{config.precision} with dropout {config.dropout:g}. "
                    f"These can: {', '.join(('auto', *runs))}.",
                )
            )
    if problems:
        raise ConfigError(problems)
    return device


def surroundings(config: Recipe, usable_cores: int, earlier: dict | None = None) -> Surroundings:
    """Set threads and number formats for a run, and say what they are.

    Args:
        usable_cores: what threads left open means.
        earlier: what the run's last session recorded; its thread count is restored, since sums depend on it.

    Raises:
        ConfigError: as `check_device`.
    """
    device = check_device(config)
    warnings = []
    wanted = (earlier or {}).get("threads") or config.threads or usable_cores
    threads = min(wanted, usable_cores)
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = config.tf32
        torch.backends.cudnn.allow_tf32 = config.tf32
        torch.cuda.reset_peak_memory_stats(device)
    record = environment(device, threads)
    for name in ("threads", "device_name", "cpu_capability"):
        if earlier and earlier.get(name) != record[name]:
            warnings.append(f"Not bit-exact: {name} was {earlier.get(name)} and is {record[name]} now.")
    before, now = (facts.get("packages", {}).get("torch") for facts in (earlier or {}, record))
    if earlier and before != now:
        warnings.append(f"Not bit-exact: torch was {before} and is {now} now.")
    if isinstance(config, PretrainConfig):
        width, heads = config.width_and_heads()
        record["sdpa_kernels"] = list(sdpa_kernels(device, config.precision, width // heads, config.dropout))
    return Surroundings(device, threads, record, tuple(warnings))


def load_model(config: PretrainConfig, vocab_size: int, weights: Path, device: str = "cpu") -> GPT:
    """A trained model for generating, exporting and looking at."""
    shape = shape_of(config, vocab_size)
    model = build_gpt(shape, config.seed, attention_impl=config.attention_impl, dropout=config.dropout)
    read_weights(model, weights)
    return to_device(model, find_device(device)).eval()


@dataclass(frozen=True)
class Start:
    """From which checkpoint a session begins.

    Args:
        checkpoint: its folder, or None for fresh weights.
        fork: the checkpoint is another run's: its counters of best and time are not this run's.
        extend: the run had ended; an early end is forgotten.
    """

    checkpoint: Path | None = None
    fork: bool = False
    extend: bool = False


def fresh_model(config: PretrainConfig, resolved: Resolved) -> GPT:
    """The model of a pretraining run before its first step."""
    return build_gpt(
        resolved.shape,
        config.seed,
        dropout=config.dropout,
        attention_impl=config.attention_impl,
        sdpa_kernel=config.sdpa_kernel,
        gradient_checkpointing=config.gradient_checkpointing,
    )


def open_run(
    config: PretrainConfig,
    resolved: Resolved,
    data: PreparedData,
    place: Surroundings,
    start: Start,
    commands: Commands,
    emit: Callable[[Event], None],
    report: Report,
    save: Callable[[Snapshot], None],
    clock: Callable[[], float] = time.monotonic,
) -> tuple[TrainingRun, list[str]]:
    """A run ready to go, and what to tell its user: for instance that a fork starts with a fresh optimizer."""
    model = fresh_model(config, resolved)
    if start.checkpoint:
        read_weights(model, start.checkpoint / "model.safetensors")
    model = to_device(model, place.device)
    training = TrainingStep(model, build_optimizer(model, config), config, place.device)
    standing, notes = standing_at(training, config, start)
    tokenizer = data.tokenizer
    tokens = data.train.tokens()
    train = TrainWindows(tokens, resolved.window, config.batch_size, config.grad_accum_steps, config.seed)
    run = TrainingRun(
        config=config,
        total_steps=resolved.total_steps,
        model=model,
        write_weights=write_weights,
        training=training,
        train=train,
        val=ValWindows(
            data.val.tokens(), min(resolved.shape.context_length, data.val.num_tokens - 1), config.batch_size
        ),
        token_bytes_V=tokenizer.byte_lengths(),
        sampler=Sampler(
            config.sample_prompts,
            Sampling(max_tokens=config.sample_tokens, seed=config.seed),
            tokenizer.encode,
            tokenizer.decode,
            tokenizer.end_id,
            tokenizer.end_id,
        ),
        device=place.device,
        standing=standing,
        commands=commands,
        emit=emit,
        report=report,
        save=save,
        clock=clock,
        largest=train.largest,
    )
    return run, notes


def standing_at(training: TrainingStep, config: Recipe, start: Start) -> tuple[Standing, list[str]]:
    """Give optimizer and counters what the start's checkpoint keeps, and say what the user should know of it."""
    notes = []
    if config.optimizer == "paged_adamw_8bit" and training.device.type == "cpu":
        notes.append("Paging moves optimizer state off a GPU; on a CPU paged_adamw_8bit does the same as adamw_8bit.")
    if not start.checkpoint:
        return Standing(), notes
    state = start.checkpoint / "state.pt"
    standing, saved_name = go_on_from(training, state, config.optimizer, with_guard=not start.fork)
    if saved_name != config.optimizer:
        notes.append(f"The optimizer starts afresh: the checkpoint's is {saved_name}, this run's {config.optimizer}.")
    if not start.fork:
        if start.extend:
            standing.ended_early, standing.validations_without_gain = False, 0
        return standing, notes
    return Standing(step=standing.step, tokens_seen=standing.tokens_seen), notes
