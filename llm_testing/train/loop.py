"""The training loop: it emits events and obeys commands, and knows neither disk nor web.

A checkpoint exists only at a step boundary. What is due at a boundary (validation, sample, log line) is a function of
the step, so a run that is interrupted and resumed does the same work as one that is not.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal, Protocol

import numpy as np
import torch
from torch import nn

from llm_testing.config.recipe import Recipe
from llm_testing.data.windows import Batch
from llm_testing.errors import Cancelled
from llm_testing.jobs.progress import Progress, Report
from llm_testing.train.evaluate import Validation, validate
from llm_testing.train.events import Event, Logged, Measured, Paused, Remembered, Resumed
from llm_testing.train.measure import Watched, watched_step
from llm_testing.train.pace import Pace, peak_bytes
from llm_testing.train.sampling import Sampler
from llm_testing.train.schedule import lr_at
from llm_testing.train.state import Snapshot, Standing, write_state
from llm_testing.train.step import TrainingStep, autocast, loss_sum, on_device

ROLLING_S = 600.0
"""Seconds between rolling resume points."""

Outcome = Literal["completed", "stopped"]


class Commands(Protocol):
    """What the loop asks whoever commands it; `jobs.control.Control` is one."""

    stop_mode: str | None
    pause_requested: bool

    def check(self) -> None: ...
    def wait_while_paused(self, on_idle: Callable[[], None]) -> None: ...
    def take_save(self) -> bool: ...
    def take_orders(self) -> list[Callable[["TrainingRun"], None]]: ...


class TrainData(Protocol):
    """The training order, as a function of the step."""

    def micro_batches(self, step: int) -> list[Batch]: ...
    def num_tokens(self, step: int) -> int: ...
    def epoch_of(self, step: int) -> float: ...


class ValData(Protocol):
    """The held-out split: a few batches that stand for it, and all of it."""

    def spread(self, num_batches: int) -> Iterator[Batch]: ...
    def whole(self) -> Iterator[Batch]: ...


@dataclass
class TrainingRun:
    """Everything one session of a run needs; `run` does it.

    Args:
        total_steps: the run's length, which may differ from an earlier session's.
        write_weights: writes what of the model a checkpoint keeps.
        emit: takes events.
        report: takes progress.
        save: writes a snapshot before it returns; False where the disk is full. A final one waits for room, while the
            caller has `serve` called, and is given up for a stop alone.
        clock: seconds that only go forward.
        general: batches of a text that the run does not train on, looked at when it begins and when it ends.
        largest: sequences and tokens a sequence of the run's largest micro-batch, whose step is measured on the CPU.
    """

    config: Recipe
    total_steps: int
    model: nn.Module
    write_weights: Callable[[nn.Module, BinaryIO], None]
    training: TrainingStep
    train: TrainData
    val: ValData
    token_bytes_V: np.ndarray
    sampler: Sampler
    device: torch.device
    standing: Standing
    commands: Commands
    emit: Callable[[Event], None]
    report: Report
    save: Callable[[Snapshot], bool]
    clock: Callable[[], float]
    general: Sequence[Batch] = ()
    largest: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        on_gpu = self.device.type != "cpu"
        self.log_every = self.config.log_every or (10 if on_gpu else 1)
        self.val_every = self.config.intermediate_val_freq_steps or min(1000, max(1, self.total_steps // 20))
        periodic = self.config.save_checkpoints or self.config.save_every
        self.save_every = (self.config.save_every or max(1, self.total_steps // 4)) if periodic else None
        self._loss_sum = torch.zeros((), device=self.device)
        self._owed: set[str] = set()
        self._measured = self.largest is None or self.device.type != "cpu"

    def run(self) -> Outcome:
        """Train until the last step, an early end, or a stop.

        Raises:
            TrainingDiverged: for a loss or gradient that is not finite; the weights are those before it.
        """
        self.pace = Pace(self.clock, self.standing.elapsed_s)
        self._loss_sum += self.standing.loss_sum
        self._last_save_s = self.clock()
        self.model.train()
        with suppress(Cancelled):
            while True:
                if not self.standing.boundary_done:
                    self._boundary()
                self._obey()
                if self._ended():
                    return "completed"
                self._step()
        if self.commands.stop_mode != "discard":
            self._save("rolling")
        return "stopped"

    def sample(self, prompt: str) -> str:
        """Continue a prompt with the live model, as an order between steps; it is told like any other sample."""
        sampler = replace(self.sampler, prompts=(prompt,))
        (sampled,) = sampler.sample(self.model, self.standing.step, self.commands.check)
        self.emit(sampled)
        return sampled.text

    def _ended(self) -> bool:
        return self.standing.ended_early or self.standing.step >= self.total_steps

    def _step(self) -> None:
        """One update; a stop between its micro-steps throws the half-accumulated step away."""
        step = self.standing.step
        started = self.clock()
        batches = self.train.micro_batches(step)
        num_targets, num_tokens = sum(num_targets_of(y) for _, y in batches), self.train.num_tokens(step)
        seconds = self.clock() - started
        with self._measuring(batches) as watched:
            started = self.clock()
            self.training.begin()
            for micro, (x, y) in enumerate(batches):
                self.commands.check()
                x_BT, y_BT, at_N = on_device(x, y, self.device)
                self.training.micro_step(x_BT, y_BT, num_targets, step, micro, at_N)
            self.training.update(lr_at(step + 1, self.total_steps, self.config))
            seconds += self.clock() - started
        if watched.peak_bytes is not None:
            self._measured = True
            self.emit(Measured(step, watched.peak_bytes))
        self._loss_sum += self.training.loss
        self.standing.step += 1
        self.standing.loss_count += 1
        self.standing.tokens_seen += num_tokens
        self.standing.boundary_done = False
        self.pace.trained(seconds, num_tokens)

    def _measuring(self, batches: list[Batch]) -> AbstractContextManager[Watched]:
        """Watch one step of the session: the first as large as any, once the optimizer has its state."""
        due = not self._measured and self.training.optimizer.state and any(y.shape == self.largest for _, y in batches)
        return watched_step(self.training) if due else nullcontext(Watched())

    def _boundary(self) -> None:
        """Do what is due at this step: look, validate, sample, log, keep checkpoints."""
        step = self.standing.step
        last = step >= self.total_steps
        due = {"val": last or step % self.val_every == 0}
        due["sample"] = (
            due["val"]
            if self.config.sample_every is None
            else (self.config.sample_every > 0 and step % self.config.sample_every == 0)
        )
        gain = False
        if self.general and self.standing.general_loss is None:
            self._remember()
        if due["val"] or step % self.log_every == 0:
            gain = self._look(due["val"], last)
        self.standing.boundary_done = True
        last = last or self.standing.ended_early
        if due["sample"]:
            self.report(Progress("sampling", step, self.total_steps, "steps"))
            # A stop cuts the samples short, but what is due to be saved here still is.
            with suppress(Cancelled):
                for sampled in self.sampler.sample(self.model, step, self.commands.check):
                    self.emit(sampled)
        periodic = self.save_every and step > 0 and step % self.save_every == 0
        kinds = [("best", gain and step > 0), ("periodic", periodic), ("final", last)]
        wanted = [kind for kind, due_now in kinds if due_now]
        if wanted or self.clock() - self._last_save_s >= ROLLING_S:
            self._save(*(wanted or ["rolling"]))

    def _look(self, val_due: bool, last: bool) -> bool:
        """Validate where it is due, and log a point; whether this is the best validation so far."""
        before = replace(self.standing)
        skipped = self.training.check_finite(before.step)
        gain, validation, final = False, None, None
        try:
            if val_due:
                validation = self._validate("evaluating", self.val.spread(self.config.intermediate_val_num_batches))
                gain = self._judge(validation)
            if last or self.standing.ended_early:
                final = self._validate("evaluating all", self.val.whole())
                if self.general:
                    self._remember()
        except Cancelled:
            self.standing = before
            raise
        self._log(skipped, validation, final)
        return gain

    def _validate(self, phase: str, batches) -> Validation:
        self.report(Progress(phase, self.standing.step, self.total_steps, "steps"))
        return validate(
            self.model, batches, self.token_bytes_V, self.config.precision, self.device, self.commands.check
        )

    def _remember(self) -> None:
        """Look at the general text; the first look is what later ones are compared with."""
        found = self._validate("evaluating general text", self.general)
        standing = self.standing
        if standing.general_loss is None:
            standing.general_loss = found.loss_nats
        perplexities = math.exp(found.loss_nats), math.exp(standing.general_loss)
        self.emit(Remembered(standing.step, *perplexities, found.num_tokens))

    def _judge(self, validation: Validation) -> bool:
        """Whether this is the best validation so far; ends the run early where patience has run out."""
        standing = self.standing
        standing.last_val_loss = validation.loss_nats
        gain = standing.best_val_loss is None or validation.loss_nats < standing.best_val_loss
        if gain:
            standing.best_val_loss, standing.best_step = validation.loss_nats, standing.step
        standing.validations_without_gain = 0 if gain else standing.validations_without_gain + 1
        patience = self.config.patience
        standing.ended_early = bool(patience and standing.validations_without_gain >= patience)
        return gain

    def _log(self, skipped: int, validation: Validation | None, final: Validation | None) -> None:
        standing, step = self.standing, self.standing.step
        started = self.clock()
        train_loss = self._first_loss() if step == 0 else None
        grad_norm = None
        if standing.loss_count:
            train_loss = float(self._loss_sum) / standing.loss_count
            norm = float(self.training.grad_norm)
            grad_norm = norm if norm < float("inf") else None
            # Reading the loss waited for the device: that time belongs to the steps since the last point.
            self.pace.waited(self.clock() - started)
        tokens_per_s, step_s = self.pace.since_last()
        standing.elapsed_s = self.pace.elapsed_s()
        self._loss_sum.zero_()
        standing.loss_sum, standing.loss_count = 0.0, 0
        self.emit(
            Logged(
                step=step,
                epoch=self.train.epoch_of(step),
                train_loss=train_loss,
                val_loss=validation.loss_nats if validation else None,
                val_bits_per_byte=validation.bits_per_byte if validation else None,
                final_val_loss=final.loss_nats if final else None,
                final_val_bits_per_byte=final.bits_per_byte if final else None,
                final_val_tokens=final.num_tokens if final else None,
                lr=lr_at(step, self.total_steps, self.config) if step else None,
                grad_norm=grad_norm,
                tokens_seen=standing.tokens_seen,
                tokens_per_s=tokens_per_s,
                elapsed_s=standing.elapsed_s,
                step_s=step_s,
                peak_bytes=peak_bytes(self.device),
                skipped_steps=skipped,
            )
        )
        self.report(Progress("training", step, self.total_steps, "steps"))

    @torch.no_grad()
    def _first_loss(self) -> float:
        """Loss of the first step's tokens before any update, without dropout."""
        batches = self.train.micro_batches(0)
        self.model.eval()
        total = 0.0
        with autocast(self.device, self.config.precision):
            for x, y in batches:
                self.commands.check()
                total += float(loss_sum(self.model, *on_device(x, y, self.device)))
        self.model.train()
        return total / sum(num_targets_of(y) for _, y in batches)

    def _obey(self) -> None:
        """Serve what was asked for: work between steps, save now, pause, stop."""
        self.serve()
        if self.commands.pause_requested:
            self._save("rolling")
            self.emit(Paused(self.standing.step))
            with self.pace.pause():
                self.commands.wait_while_paused(self.serve)
            self.serve()
            self.commands.check()
            self.emit(Resumed(self.standing.step))
        self.commands.check()

    def serve(self) -> None:
        """Do what was ordered meanwhile, between two steps or while nothing is trained."""
        for order in self.commands.take_orders():
            order(self)
        if self.commands.take_save():
            self._save("rolling")

    def _save(self, *kinds: str) -> None:
        standing = self.standing
        self.training.check_finite(standing.step)
        self.training.begin()
        self.report(Progress("saving", standing.step, self.total_steps, "steps"))
        standing.loss_sum, standing.elapsed_s = float(self._loss_sum), self.pace.elapsed_s()
        facts = {
            "step": standing.step,
            "tokens_seen": standing.tokens_seen,
            "val_loss": standing.last_val_loss,
            "best_val_loss": standing.best_val_loss,
            "total_steps": self.total_steps,
        }
        files = {
            "model.safetensors": lambda file: self.write_weights(self.model, file),
            "state.pt": lambda file: write_state(standing, self.training, self.config.optimizer, file),
        }
        wanted = {*kinds, *self._owed} - ({"rolling"} if self._owed else set())
        saved = self.save(Snapshot(standing.step, tuple(sorted(wanted)), facts, files))
        # A rolling point that could not be written is made up for by the next one; the others are owed.
        self._owed = set() if saved else wanted - {"rolling"}
        self._last_save_s = self.clock()
        self.report(Progress("training", standing.step, self.total_steps, "steps"))


def num_targets_of(y_BT: np.ndarray) -> int:
    """Targets that count in the loss."""
    return int((y_BT >= 0).sum())
