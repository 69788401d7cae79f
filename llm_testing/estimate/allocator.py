"""CUDA's caching allocator, simulated: how much it reserves for a step, and with how little the step still runs.

Rules and sizes are those of the native allocator with one stream. Source: torch 2.13,
c10/cuda/CUDACachingAllocator.cpp (round_size, get_allocation_size, should_split, release_cached_blocks).
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llm_testing.estimate.step import Step

MIB = 2**20
BLOCK = 512
SMALL = MIB
"""Requests up to this come from segments of SMALL_SEGMENT."""
SMALL_SEGMENT = 2 * MIB
LARGE = 10 * MIB
"""Requests below this come from segments of LARGE_SEGMENT; larger ones get their own, rounded to ROUND_LARGE."""
LARGE_SEGMENT = 20 * MIB
ROUND_LARGE = 2 * MIB
_NEW_ADDRESS = 2**44
"""Distance between the addresses of segments: more than any segment is long."""


class OutOfMemory(Exception):
    """The simulated card has no room, even after giving back what is cached."""


class _Block:
    __slots__ = ("before", "behind", "free", "size", "small")

    def __init__(self, size: int, small: bool, before: int | None, behind: int | None):
        self.size, self.small, self.free = size, small, True
        self.before, self.behind = before, behind


class CachingAllocator:
    """Takes requests and frees, and counts.

    Args:
        limit_bytes: memory of the card that is this process's; None for as much as it asks for.
    """

    def __init__(self, limit_bytes: int | None = None):
        self._limit = limit_bytes
        self._blocks: dict[int, _Block] = {}
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._held: dict[int, int] = {}
        self._next_address = 0
        self.reserved = self.peak_reserved = 0
        self.allocated = self.peak_allocated = 0

    def malloc(self, name: int, size: int) -> None:
        """Give `name` a block.

        Raises:
            OutOfMemory: where the limit does not allow it.
        """
        if size <= 0:
            return
        size = -(-size // BLOCK) * BLOCK
        small = size <= SMALL
        address = self._best_fit(size, small)
        if address is None:
            self._new_segment(size, small)
            address = self._best_fit(size, small)
        block = self._blocks[address]
        self._free[small].remove((block.size, address))
        self._split(address, block, size)
        block.free = False
        self._held[name] = address
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)

    def free(self, name: int) -> None:
        """Take back what `name` has; names without a block are passed over."""
        address = self._held.pop(name, None)
        if address is None:
            return
        block = self._blocks[address]
        self.allocated -= block.size
        block.free = True
        if block.before is not None and self._blocks[block.before].free:
            address = self._join(block.before, address)
        behind = self._blocks[address].behind
        if behind is not None and self._blocks[behind].free:
            self._join(address, behind)
        insort(self._free[block.small], (self._blocks[address].size, address))

    def _best_fit(self, size: int, small: bool) -> int | None:
        free = self._free[small]
        place = bisect_left(free, (size, -1))
        return free[place][1] if place < len(free) else None

    def _new_segment(self, size: int, small: bool) -> None:
        length = SMALL_SEGMENT if small else LARGE_SEGMENT if size < LARGE else -(-size // ROUND_LARGE) * ROUND_LARGE
        if self._limit is not None and self.reserved + length > self._limit:
            self._release()
            if self.reserved + length > self._limit:
                raise OutOfMemory
        address = self._next_address
        self._next_address += _NEW_ADDRESS
        self._blocks[address] = _Block(length, small, None, None)
        insort(self._free[small], (length, address))
        self.reserved += length
        self.peak_reserved = max(self.peak_reserved, self.reserved)

    def _release(self) -> None:
        """Give back every segment of which nothing is in use."""
        for small, free in self._free.items():
            whole = [(size, address) for size, address in free if self._is_whole(address)]
            for size, address in whole:
                self.reserved -= size
                del self._blocks[address]
            self._free[small] = [entry for entry in free if entry not in set(whole)]

    def _is_whole(self, address: int) -> bool:
        return self._blocks[address].before is None and self._blocks[address].behind is None

    def _split(self, address: int, block: _Block, size: int) -> None:
        rest = block.size - size
        if rest < BLOCK if block.small else rest <= SMALL:
            return
        behind = _Block(rest, block.small, address, block.behind)
        if block.behind is not None:
            self._blocks[block.behind].before = address + size
        block.size, block.behind = size, address + size
        self._blocks[address + size] = behind
        insort(self._free[block.small], (rest, address + size))

    def _join(self, first: int, second: int) -> int:
        """Make two neighbours one free block; the address of it. The one that is listed as free leaves the list."""
        one, other = self._blocks[first], self._blocks.pop(second)
        for block, address in ((one, first), (other, second)):
            place = bisect_left(self._free[one.small], (block.size, address))
            if place < len(self._free[one.small]) and self._free[one.small][place] == (block.size, address):
                del self._free[one.small][place]
        one.size += other.size
        one.behind = other.behind
        if other.behind is not None:
            self._blocks[other.behind].before = first
        return first


@dataclass(frozen=True)
class Reserved:
    """What the allocator asks the card for.

    Args:
        reserved_bytes: at most, with all the memory it wants.
        minimum_bytes: the least with which the step still runs, cached blocks being given back when it is tight.
    """

    reserved_bytes: int
    minimum_bytes: int


STEPS = 2
"""Steps until the reserved bytes stay the same. Measured on the prototype's cases of 124M to 355M parameters."""
TOLERANCE = 0.002
"""Share of the reserved bytes to which the minimum is searched."""


def reserve(step: Step) -> Reserved:
    """Play a run's beginning through the allocator: weights, a first step that makes the optimizer's state, another."""
    events = list(_events(step))
    free_run = _play(events, None)
    low, high = int(step.live.max()) - 1, free_run.peak_reserved
    while high - low > max(ROUND_LARGE, TOLERANCE * high):
        middle = (low + high) // 2
        try:
            _play(events, middle)
            high = middle
        except OutOfMemory:
            low = middle
    return Reserved(free_run.peak_reserved, high)


def reserves_within(step: Step, limit_bytes: int) -> bool:
    """Whether the allocator never asks the card for more than limit_bytes, without having to give anything back."""
    return _play(list(_events(step)), None).peak_reserved <= limit_bytes


def _play(events: list[tuple[int, int]], limit: int | None) -> CachingAllocator:
    allocator = CachingAllocator(limit)
    for name, size in events:
        if size > 0:
            allocator.malloc(name, size)
        else:
            allocator.free(name)
    return allocator


def _events(step: Step) -> Iterator[tuple[int, int]]:
    """(name, bytes) for a beginning, (name, 0) for an end."""
    recording = step.recording
    stages = np.array([section.stage for section in recording.sections])
    begun = stages[recording.alloc_section]
    sizes = recording.num_bytes
    ended = {int(number) for number, free in zip(recording.allocation, recording.is_free, strict=True) if free}
    kept = [number for number in np.flatnonzero(begun == "states").tolist() if number not in ended]
    yield from ((number, int(sizes[number])) for number in np.flatnonzero(begun == "weights").tolist())
    # Names below zero: a library's workspace comes with its first use, one for each of the two threads that compute.
    workspaces = dict(zip(("forward", "head"), enumerate(step.workspaces, start=1), strict=False))
    for repetition in range(STEPS):
        inside: set[int] = set()
        states = kept if repetition == 0 else []
        rows = zip(
            recording.allocation[step.first_event :],
            recording.is_free[step.first_event :],
            stages[recording.event_section[step.first_event :]],
            strict=True,
        )
        for number, free, stage in ((int(n), bool(f), str(s)) for n, f, s in rows):
            if stage in workspaces:
                which, size = workspaces.pop(stage)
                yield -which, size
            if stage == "update" and states:
                yield from ((state, int(sizes[state])) for state in states)
                states = []
            yield (number, 0) if free else (number, int(sizes[number]))
            (inside.discard if free else inside.add)(number)
        yield from ((number, 0) for number in inside)
