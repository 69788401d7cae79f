"""A recording of few layers made into one of many, by repeating what its second layer does.

Layers 1 to n-2 of n do the same; the first and last may differ. Events of layer 1 are copied for each layer that is
missing, their allocations renamed: one that layer 1 takes from the layer before or behind becomes one of the copy's own
neighbours. Nothing is assumed about which stages there are or what happens in them; `same_steps` says whether a
recording of one layer more is what the repetition foretells.
"""

from dataclasses import dataclass, replace

import numpy as np

from llm_testing.estimate.recording import BACKWARD, NO_LAYER, Recording, Section

FIRST_MIDDLE = 1


@dataclass(frozen=True)
class Repeated:
    """A recording of more layers, and from which allocation of the traced one each of its allocations comes."""

    recording: Recording
    origin: np.ndarray


class NotRepeatable(Exception):
    """A recording in which a layer reaches further than its neighbours."""


class Repeater:
    """A recording that stands for deeper ones; what is found out about it serves for every depth."""

    def __init__(self, recording: Recording):
        self._recording = recording
        self._parts, self._runs = _Parts(recording), _runs(recording)

    def repeat(self, num_layers: int) -> Repeated:
        """The recording as it would be with num_layers layers, at least as many as were traced.

        Raises:
            NotRepeatable: where the events of a layer point beyond its neighbours; then only a full trace helps.
        """
        recording = self._recording
        extra = num_layers - recording.num_layers
        if extra < 0 or (extra and recording.num_layers < 3):
            raise NotRepeatable(f"{recording.num_layers} traced layers cannot stand for {num_layers}.")
        names = _Names(recording, self._parts, extra)
        pieces: list[tuple[np.ndarray, slice, int]] = []
        for run, layer, downwards in self._runs:
            # Layers behind the copies have moved, and with them what they point at.
            targets = [layer if layer < 2 else layer + extra]
            if layer == FIRST_MIDDLE:
                targets += range(2, 2 + extra)
            told = [(names.of(run, layer, target), run, target - layer) for target in targets]
            pieces += told[::-1] if downwards else told
        named = np.concatenate([names_of_run for names_of_run, _, _ in pieces])
        events = np.concatenate([np.arange(run.start, run.stop) for _, run, _ in pieces])
        moved = np.concatenate([np.full(run.stop - run.start, by) for _, run, by in pieces])
        return _renumbered(recording, num_layers, named, events, moved, names)


def same_steps(one: Recording, other: Recording) -> bool:
    """Whether two recordings have the same events in the same order, whatever the sizes."""
    return (
        np.array_equal(one.allocation, other.allocation)
        and np.array_equal(one.is_free, other.is_free)
        and np.array_equal(one.term, other.term)
        and one.op == other.op
    )


class _Parts:
    """Which allocations of different layers play the same part.

    twin: (A,) the allocation of layer 1 that plays the same part as each, or -1.
    player: (A, layers) by an allocation of layer 1 and a layer, the one there that plays its part, or -1.
    """

    def __init__(self, recording: Recording):
        layers, sections = recording.alloc_layer.tolist(), recording.sections
        keys: list[tuple] = []
        for section, layer in zip(recording.alloc_section.tolist(), layers, strict=True):
            micro, stage, section_layer = sections[section]
            # A section's layer counts from the allocation's: the same difference in each layer.
            offset = NO_LAYER if section_layer == NO_LAYER else (section_layer - layer, "from own")
            keys.append((micro, stage, offset, layer))
        places = _places(keys)
        by_key = {(*key, place): number for number, (key, place) in enumerate(zip(keys, places, strict=True))}
        twins = [
            by_key.get((*key[:3], FIRST_MIDDLE, place), -1) if key[3] != NO_LAYER else -1
            for key, place in zip(keys, places, strict=True)
        ]
        self.twin = np.array(twins, dtype=np.int64)
        self.player = np.full((len(twins), recording.num_layers), -1, dtype=np.int64)
        for number in reversed(range(len(twins))):  # of several the first counts
            if twins[number] >= 0:
                self.player[twins[number], layers[number]] = number


class _Names:
    """What an allocation is called in the longer recording: its old number, or one beyond for a copy's own."""

    def __init__(self, recording: Recording, parts: _Parts, extra: int):
        self._recording, self._parts, self._extra = recording, parts, extra
        self._layer = recording.alloc_layer
        self.num_traced = len(recording.num_bytes)

    def of(self, run: slice, layer: int, target: int) -> np.ndarray:
        """Names for a run of events of `layer`, told as those of layer `target` of the longer recording."""
        allocations = self._recording.allocation[run]
        if layer == NO_LAYER:
            return allocations
        names, of_layer = allocations.copy(), self._layer[allocations] != NO_LAYER
        reach = self._layer[allocations[of_layer]] - layer
        if np.any(np.abs(reach) > 1):
            raise NotRepeatable("A layer uses what a layer that is no neighbour made.")
        names[of_layer] = self._name(allocations[of_layer], target + reach)
        return names

    def _name(self, allocations: np.ndarray, targets: np.ndarray) -> np.ndarray:
        twins = self._parts.twin[allocations]
        copied = (targets >= 2) & (targets < 2 + self._extra)
        if np.any(copied & (twins < 0)):
            raise NotRepeatable("A middle layer does what the others do not.")
        copies = self.num_traced * (targets - 1) + twins
        # Before the copies stand layers 0 and 1, behind them the traced ones from 2 on; a neighbour that was traced
        # as a copy's may be an original's here, and then it is the original's twin.
        wanted = np.where(targets < 2, targets, targets - self._extra)
        own = np.where(self._layer[allocations] == wanted, allocations, self._at(allocations, wanted))
        return np.where(copied, copies, own)

    def _at(self, allocations: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The allocations that play the same parts in other traced layers."""
        twins, player = self._parts.twin[allocations], self._parts.player
        known = (twins >= 0) & (wanted >= 0) & (wanted < player.shape[1])
        return np.where(known, player[twins * known, wanted * known], -1)


def _places(keys: list[tuple]) -> list[int]:
    """The place of each key among its equals: from the first forwards, from the last backwards (as -1, -2, ...).

    So the last unit's parts keep their places where it is longer than the others: its extra layers come last in the
    forward and first in the backward pass.
    """
    counted: dict[tuple, int] = {}
    places = []
    for key in keys:
        counted[key] = counted.get(key, -1) + 1
        places.append(counted[key])
    return [place - counted[key] - 1 if key[1] in BACKWARD else place for key, place in zip(keys, places, strict=True)]


def _runs(recording: Recording) -> list[tuple[slice, int, bool]]:
    """Stretches of events of one layer and stage: (which, layer, whether layers come from last to first)."""
    section_layer = np.array([section.layer for section in recording.sections])[recording.event_section]
    kinds = {key: number for number, key in enumerate({(s.micro, s.stage) for s in recording.sections})}
    kind = np.array([kinds[s.micro, s.stage] for s in recording.sections])[recording.event_section]
    layer = np.where(section_layer == NO_LAYER, recording.alloc_layer[recording.allocation], section_layer)
    # Outside the layers' own sections the layer is the allocation's; there too the events stand layer by layer.
    borders = np.flatnonzero((np.diff(layer) != 0) | (np.diff(kind) != 0)) + 1
    starts, stops = [0, *borders.tolist()], [*borders.tolist(), len(layer)]
    where = [(int(layer[start]), int(kind[start])) for start in starts]
    # Backward comes from the last layer to the first, and a list lets go of its last entry first.
    beyond, below = (FIRST_MIDDLE + 1, FIRST_MIDDLE - 1)
    ends = [None, *where, None]
    downwards = [
        before == (beyond, own[1]) or behind == (below, own[1])
        for before, own, behind in zip(ends, where, ends[2:], strict=False)
    ]
    return [
        (slice(start, stop), own, down)
        for start, stop, (own, _), down in zip(starts, stops, where, downwards, strict=True)
    ]


def _renumbered(
    recording: Recording, num_layers: int, named: np.ndarray, events: np.ndarray, moved: np.ndarray, names: _Names
) -> Repeated:
    """Number allocations in the order of their beginning, as a trace does.

    Args:
        named, events, moved: of each event the allocation's name, the traced event, and by how many layers it moved.
    """
    if np.any(named < 0):
        raise NotRepeatable("A layer uses what its neighbour does not have.")
    unique, first, inverse = np.unique(named, return_index=True, return_inverse=True)
    by_time = np.argsort(first)
    order = np.empty(len(unique), dtype=np.int64)
    order[by_time] = np.arange(len(unique))
    origin, begins = (unique % names.num_traced)[by_time], first[by_time]
    sections, event_section = _moved_sections(recording, events, moved)
    layer = recording.alloc_layer[origin]
    repeated = replace(
        recording,
        num_layers=num_layers,
        sections=sections,
        allocation=order[inverse],
        is_free=recording.is_free[events],
        event_section=event_section,
        num_bytes=recording.num_bytes[origin],
        alloc_section=event_section[begins],
        alloc_layer=np.where(layer == NO_LAYER, NO_LAYER, layer + moved[begins]),
        term=recording.term[origin],
        op=tuple(map(recording.op.__getitem__, origin.tolist())),
    )
    return Repeated(repeated, origin)


def _moved_sections(
    recording: Recording, events: np.ndarray, moved: np.ndarray
) -> tuple[tuple[Section, ...], np.ndarray]:
    """The sections of a longer recording, and that of each event."""
    # One number for each pair of section and shift; shifts are from 0 up, as layers only move behind.
    apart = int(moved.max(initial=0)) + 1
    pairs, event_section = np.unique(recording.event_section[events] * apart + moved, return_inverse=True)
    sections = []
    for old, by in zip(*np.divmod(pairs, apart), strict=True):
        micro, stage, layer = recording.sections[old]
        sections.append(Section(micro, stage, layer if layer == NO_LAYER else layer + int(by)))
    return tuple(sections), event_section.reshape(-1)
