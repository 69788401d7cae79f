"""Which examples each fine-tuning step sees: pure functions of (seed, epoch, position), as for pretraining.

The unit of the order is a sequence: one example, or, with packing, as many as fit. What is packed together depends on
the seed alone, so every epoch has the same number of steps.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np

from llm_testing.data.answers import Tokens
from llm_testing.data.windows import Batch

IGNORED = -100
"""The target of a token that is not learned: torch's cross-entropy leaves it out."""


class ExampleBatches:
    """Training batches.

    Args:
        examples: at least one, each of at least two tokens.
        packing: fill sequences of max_length with several examples, told apart by their positions.
        pad_id: what fills the shorter sequences of a batch; it is never a target and nothing looks at it.
    """

    def __init__(
        self,
        examples: Sequence[Tokens],
        packing: bool,
        max_length: int,
        batch_size: int,
        grad_accum_steps: int,
        seed: int,
        pad_id: int,
    ):
        self._packing, self._pad_id, self._seed = packing, pad_id, seed
        self._batch_size, self._per_step = batch_size, batch_size * grad_accum_steps
        order = np.random.Generator(np.random.PCG64([seed, len(examples)])).permutation(len(examples))
        self._units = pack([examples[i] for i in order], max_length) if packing else [(tokens,) for tokens in examples]
        self.steps_per_epoch = ceil(len(self._units) / self._per_step)
        self._epoch: int | None = None
        self._order = np.empty(0, np.int64)

    @property
    def num_sequences(self) -> int:
        """Sequences an epoch."""
        return len(self._units)

    @property
    def largest(self) -> tuple[int, int]:
        """Sequences, and tokens of the longest, in the largest batch that there is."""
        widest = max(sum(len(tokens.ids) - 1 for tokens in unit) for unit in self._units)
        return min(self._batch_size, len(self._units)), widest

    def epoch_of(self, step: int) -> float:
        """Epochs read after `step` updates."""
        whole, rest = divmod(step, self.steps_per_epoch)
        return whole + min(rest * self._per_step / len(self._units), 1.0)

    def micro_batches(self, step: int) -> list[Batch]:
        """The micro-batches of update number `step`, counted from 0."""
        units = self.units(step)
        return [
            as_batch(units[first : first + self._batch_size], self._packing, self._pad_id)
            for first in range(0, len(units), self._batch_size)
        ]

    def num_tokens(self, step: int) -> int:
        """Tokens that update number `step` reads, padding left out."""
        return sum(len(tokens.ids) - 1 for unit in self.units(step) for tokens in unit)

    def spread(self, num_batches: int) -> Iterator[Batch]:
        """At most num_batches batches of evenly spaced sequences, the same ones at each call."""
        wanted = min(num_batches * self._batch_size, len(self._units))
        yield from self._in_order([self._units[i * len(self._units) // wanted] for i in range(wanted)])

    def whole(self) -> Iterator[Batch]:
        """Every sequence once."""
        yield from self._in_order(self._units)

    def _in_order(self, units: list) -> Iterator[Batch]:
        for first in range(0, len(units), self._batch_size):
            yield as_batch(units[first : first + self._batch_size], self._packing, self._pad_id)

    def units(self, step: int) -> list[tuple[Tokens, ...]]:
        """The sequences of update number `step`, each one example or the several that are packed in it."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            random = np.random.Generator(np.random.PCG64([self._seed, epoch]))
            self._order, self._epoch = random.permutation(len(self._units)), epoch
        return [self._units[i] for i in self._order[position * self._per_step : (position + 1) * self._per_step]]


def pack(examples: Sequence[Tokens], max_length: int) -> list[tuple[Tokens, ...]]:
    """Put each example into the fullest sequence that still has room for it (best fit, in the given order)."""
    units: list[list[Tokens]] = []
    # Free places of each sequence with room, in order; ids of those sequences beside them.
    free: list[tuple[int, int]] = []
    for tokens in examples:
        need = len(tokens.ids) - 1
        at = bisect_left(free, (need, 0))
        if at == len(free):
            units.append([tokens])
            left, unit = max_length - need, len(units) - 1
        else:
            room, unit = free.pop(at)
            units[unit].append(tokens)
            left = room - need
        if left > 0:
            free.insert(bisect_left(free, (left, unit)), (left, unit))
    return [tuple(unit) for unit in units]


def as_batch(units: Sequence[tuple[Tokens, ...]], packing: bool, pad_id: int) -> Batch:
    """Sequences side by side, filled up at their ends.

    Returns:
        Inputs (B, T), or with packing (2, B, T): tokens, and their positions, which begin at 0 with each example.
        Targets (B, T), IGNORED where nothing is learned.
    """
    length = max(sum(len(tokens.ids) - 1 for tokens in unit) for unit in units)
    x = np.full((len(units), length), pad_id, np.int64)
    positions = np.zeros((len(units), length), np.int64)
    y = np.full((len(units), length), IGNORED, np.int64)
    for row, unit in enumerate(units):
        at = 0
        for tokens in unit:
            end = at + len(tokens.ids) - 1
            x[row, at:end] = tokens.ids[:-1]
            positions[row, at:end] = np.arange(end - at)
            y[row, at:end] = np.where(tokens.learned[1:], tokens.ids[1:], IGNORED)
            at = end
        positions[row, at:] = np.arange(length - at)
    return (np.stack([x, positions]) if packing else x), y
