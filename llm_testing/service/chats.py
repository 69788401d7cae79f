"""Talking to a tuned model and to its base, side by side: of a checkpoint, or of the run that trains now.

A run's base is read once and its adapter put into it, so the next checkpoint, or the live adapter a few steps later,
costs a few megabytes. The live model itself is never asked: its adapter is copied between two steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llm_testing.data.examples import Message
from llm_testing.errors import Busy, WrongState
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.model.generate import Sampling, Writes
from llm_testing.service.adapters import KIND, Adapters
from llm_testing.service.bases import Base, Converter
from llm_testing.service.between_steps import between_steps, ordered
from llm_testing.service.job import Job
from llm_testing.service.playground import LIVE, TURN_WITHIN_S
from llm_testing.service.shells import Shell, full_card_told, read_shell, read_whole_base
from llm_testing.service.tuned import base_of_record
from llm_testing.service.writing import written_after
from llm_testing.store.ids import checkpoint_id
from llm_testing.store.runs import RunStore

Side = Literal["base", "adapter"]
SIDES: tuple[Side, ...] = ("base", "adapter")
MOST_KEPT_SHARE = 0.25
"""A model up to this share of the memory that is free stays open for the next message."""
LEAVES_WITHIN_S = 10.0
"""An answer ends at its next token, unless whoever reads it has stopped reading."""


@dataclass(frozen=True)
class Opened:
    """A tuned model that can be asked.

    Args:
        name: its checkpoint's id, or live.
        step: the optimizer step of its weights.
        tensors: those that are put into the shell while it answers.
    """

    name: str
    run_id: str
    step: int
    shell: Shell = field(repr=False)
    tensors: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Piece:
    """A piece of an answer; the last one of a side has done set, no text, and says how long it took."""

    side: Side
    text: str
    num_tokens: int
    done: bool = False
    seconds: float | None = None
    cut: bool = False


class Chats:
    """Opens tuned models and asks them; threads may share it.

    Args:
        active: the run that holds the trainer in this process, if any.
    """

    def __init__(
        self,
        store: RunStore,
        adapters: Adapters,
        cache_dir: Path,
        converter: Converter,
        active: Callable[[], Job | None],
    ):
        self._store, self._adapters, self._cache_dir = store, adapters, cache_dir
        self._converter, self._active = converter, active
        self._guard, self._turn = threading.Lock(), threading.Lock()
        self._kept: Shell | None = None

    def open(self, what: str | None) -> Opened:
        """An adapter by any of its names (`Adapters.find`), or the live one.

        Raises:
            BadRunId, NotFound, DamagedRun: for one that is not there or not whole.
            WrongState: for the live one, where nothing is tuned or no model is there yet.
            NotEnoughMemory: the model does not fit beside what runs.
        """
        from llm_testing.model.adapters import trained_in  # noqa: PLC0415  (imports transformers)

        if what == LIVE:
            run_id, step, tensors = self._live()
            return Opened(LIVE, run_id, step, self._shell(run_id), tensors)
        run_id, step = self._adapters.find(what)
        weights = self._store.open(run_id).checkpoints.verify(step).path / "model.safetensors"
        return Opened(checkpoint_id(run_id, step), run_id, step, self._shell(run_id), trained_in(weights))

    def prompt(self, opened: Opened, messages: Sequence[Message]) -> list[int]:
        """A conversation as the tokens that the model answers.

        Raises:
            DataError: the run's chat template refuses it.
        """
        return opened.shell.chat.encode_turns(messages)

    def answer(
        self,
        opened: Opened,
        prompts: dict[Side, list[int]],
        sampling: Sampling,
        turn_within_s: float = TURN_WITHIN_S,
    ) -> Iterator[Piece]:
        """The answers to prompts, piece by piece; two sides are written in turns, token by token.

        Raises:
            Busy: where another answer is still being written after turn_within_s.
        """
        if not self._turn.acquire(timeout=turn_within_s):
            raise Busy("Another answer is being written. Try again when it is done.")
        writers: dict[Side, Iterator[Piece]] = {}
        try:
            self._fill(opened)
            writers |= {side: self._written(opened, side, tokens, sampling) for side, tokens in prompts.items()}
            with full_card_told():
                yield from _in_turns(writers, opened.shell)
        finally:
            writers.clear()  # with their models, so that the memory is free once the turn is
            self._turn.release()

    def leave_card(self) -> None:
        """Let go of a model on a card, as a run is about to train; an answer that is being written ends with it."""
        with self._guard:
            shell = self._kept
            if shell is None or not shell.on_card:
                return
            self._kept = None
            shell.left.set()
        waited = self._turn.acquire(timeout=LEAVES_WITHIN_S)
        try:
            shell.leave()
        finally:
            if waited:
                self._turn.release()

    # Inside.

    def _written(self, opened: Opened, side: Side, tokens: list[int], sampling: Sampling) -> Iterator[Piece]:
        num_tokens, seconds, began = 0, 0.0, time.monotonic()

        def count() -> None:
            nonlocal num_tokens
            num_tokens += 1

        model = self._base(opened.shell) if side == "base" else opened.shell.model
        for text in written_after(model, opened.shell.chat, tokens, sampling, count):
            seconds += time.monotonic() - began
            yield Piece(side, text, num_tokens)
            began = time.monotonic()
        seconds += time.monotonic() - began
        yield Piece(side, "", num_tokens, True, round(seconds, 3), num_tokens >= sampling.max_tokens)

    def _fill(self, opened: Opened) -> None:
        from llm_testing.model.adapters import put_trained  # noqa: PLC0415

        _refuse_left(opened.shell)
        if opened.shell.holds is not opened.tensors:
            put_trained(opened.shell.model, opened.tensors, opened.name)
            opened.shell.holds = opened.tensors

    def _shell(self, run_id: str) -> Shell:
        with self._guard:
            if self._kept and self._kept.run_id == run_id:
                return self._kept
            self._kept = None  # one model at a time: the old one is let go before the new one is read
            shell = between_steps(self._active(), lambda: self._read(run_id))
            if shell.on_card or shell.num_bytes <= MOST_KEPT_SHARE * usable_memory_bytes().available_bytes:
                self._kept = shell
            return shell

    def _read(self, run_id: str) -> Shell:
        record = self._store.open(run_id).record()
        return read_shell(run_id, record, self._base_of(record), card_is_free=self._active() is None)

    def _base(self, shell: Shell) -> Writes:
        """The base of a run; one that was tuned whole has it as a second model."""
        if shell.base is None:
            shell.base = between_steps(self._active(), lambda: read_whole_base(shell))
        return shell.base

    def _base_of(self, record: dict) -> Base:
        return base_of_record(record, self._cache_dir, self._converter)

    def _live(self) -> tuple[str, int, dict[str, Any]]:
        from llm_testing.model.adapters import copied_trained  # noqa: PLC0415

        job = self._active()
        if job is None or job.kind.name != KIND:
            raise WrongState("No model is being tuned now, so there is no live one. Choose a checkpoint.")
        step, tensors = ordered(job, lambda live: (live.standing.step, copied_trained(live.model)))
        return job.folder.run_id, step, tensors


def _in_turns(writers: dict[Side, Iterator[Piece]], shell: Shell) -> Iterator[Piece]:
    """A piece of each side after the other, until all have ended."""
    while writers:
        for side in list(writers):
            _refuse_left(shell)
            piece = next(writers[side], None)
            if piece is None:
                del writers[side]
            else:
                yield piece


def _refuse_left(shell: Shell) -> None:
    if shell.left.is_set():
        raise Busy("A run has begun, and the card is its own now. Ask again: the answer then comes from the CPU.")
