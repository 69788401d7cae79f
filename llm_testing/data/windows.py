"""Which tokens each training step and each validation sees: pure functions of (seed, epoch, position).

A split of N tokens has N - 1 pairs of a token and its successor. A window is a run of consecutive pairs. An epoch reads
the pairs once, in windows, in an order and at a phase that depend on the seed and the epoch alone; the pairs are taken
as a ring, so every phase gives the same number of windows, and the fewer than one window that are left over differ from
epoch to epoch. Nothing is remembered between steps, so a run resumes from its step number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]
"""Inputs and targets, int64, each (sequences, window); a negative target is left out of the loss."""


class TrainWindows:
    """The training order.

    Args:
        tokens: (N,) token ids, often a memory map; N is at least 2.
        window: tokens a sequence, at most N - 1.
        batch_size: sequences a micro-batch.
        grad_accum_steps: micro-batches a step; an epoch's last step may have fewer, its last micro-batch be shorter.
        seed: start of the order.
    """

    def __init__(self, tokens: np.ndarray, window: int, batch_size: int, grad_accum_steps: int, seed: int):
        self._tokens, self._window, self._seed = tokens, window, seed
        self._batch_size, self._per_step = batch_size, batch_size * grad_accum_steps
        self._pairs = len(tokens) - 1
        self.windows_per_epoch = self._pairs // window
        self.steps_per_epoch = ceil(self.windows_per_epoch / self._per_step)
        self._epoch: int | None = None
        self._order = np.empty(0, np.int64)
        self._phase = 0

    @property
    def largest(self) -> tuple[int, int]:
        """Windows, and tokens of each, in the largest batch that there is."""
        return min(self._batch_size, self.windows_per_epoch), self._window

    def epoch_of(self, step: int) -> float:
        """Epochs read after `step` updates."""
        whole, rest = divmod(step, self.steps_per_epoch)
        return whole + min(rest * self._per_step / self.windows_per_epoch, 1.0)

    def num_tokens(self, step: int) -> int:
        """Tokens that update number `step` reads."""
        before = step % self.steps_per_epoch * self._per_step
        return min(self._per_step, self.windows_per_epoch - before) * self._window

    def micro_batches(self, step: int) -> list[Batch]:
        """The micro-batches of update number `step`, counted from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        self._enter(epoch)
        windows = self._order[position * self._per_step : (position + 1) * self._per_step]
        return [
            self._batch(windows[first : first + self._batch_size]) for first in range(0, len(windows), self._batch_size)
        ]

    def _enter(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        random = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        self._phase = int(random.integers(self._pairs))
        self._order = random.permutation(self.windows_per_epoch)
        self._epoch = epoch

    def _batch(self, windows: np.ndarray) -> Batch:
        starts = self._phase + windows * self._window
        pairs = (starts[:, None] + np.arange(self._window)) % self._pairs
        return self._tokens[pairs].astype(np.int64), self._tokens[pairs + 1].astype(np.int64)


@dataclass(frozen=True)
class ValWindows:
    """The validation split in windows that lie side by side, the last one shorter, so that every pair is covered.

    Args:
        tokens: (N,) token ids, N at least 2.
        window: tokens a sequence, at most N - 1.
        batch_size: sequences a batch.
    """

    tokens: np.ndarray
    window: int
    batch_size: int

    def spread(self, num_batches: int) -> Iterator[Batch]:
        """At most num_batches batches of evenly spaced whole windows, the same ones at each call."""
        whole = (len(self.tokens) - 1) // self.window
        wanted = min(num_batches * self.batch_size, whole)
        yield from self._batches(np.arange(wanted) * whole // wanted)

    def whole(self, max_tokens: int = 2_000_000) -> Iterator[Batch]:
        """Every pair of the split once; of a split beyond max_tokens as many evenly spaced windows as that allows."""
        pairs = len(self.tokens) - 1
        if pairs > max_tokens:
            yield from self.spread(ceil(max_tokens // self.window / self.batch_size))
            return
        whole, rest = divmod(pairs, self.window)
        yield from self._batches(np.arange(whole))
        if rest:
            first = whole * self.window
            piece = np.asarray(self.tokens[first:]).astype(np.int64)
            yield piece[None, :-1], piece[None, 1:]

    def _batches(self, windows: np.ndarray) -> Iterator[Batch]:
        for first in range(0, len(windows), self.batch_size):
            starts = windows[first : first + self.batch_size] * self.window
            pairs = starts[:, None] + np.arange(self.window)
            yield self.tokens[pairs].astype(np.int64), self.tokens[pairs + 1].astype(np.int64)
