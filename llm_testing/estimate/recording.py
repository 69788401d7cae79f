"""What a traced step leaves behind: which storage came and went when, as plain data.

An allocation is one tensor storage. Each belongs to a section of the step (micro-batch, stage, layer) and, where that
can be told, to one layer of the model: this is what `depth.expand` repeats.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TERMS = ("weights", "gradients", "optimizer", "activations", "logits_and_loss", "temporaries", "workspaces")
"""The kinds of bytes; weights are the parameters and buffers themselves, activations what backward needs kept (with the
half-precision copies of weights that autocast makes), temporaries everything else that lives within a step."""

NO_LAYER = -1


class Section(NamedTuple):
    """A stretch of a step: `micro` counts micro-batches, `layer` is NO_LAYER outside the repeated blocks."""

    micro: int
    stage: str
    layer: int


FORWARD = ("embed", "forward", "norm", "head")
BACKWARD = ("head_backward", "norm_backward", "backward", "embed_backward")
"""Stages in their order within a micro-batch; before them "weights" and "states", after them "update"."""


@dataclass(frozen=True)
class Recording:
    """The events of one step in steady state, with what was there before it.

    Args:
        num_layers: repeated blocks of the model that was traced; periods of them where their kinds alternate.
        sections: every section that an event or allocation points at.
        allocation: (E,) which allocation each event is about.
        is_free: (E,) whether it ends there; else it begins.
        event_section: (E,) index into sections.
        num_bytes: (A,) size of each allocation; one resized is two allocations.
        alloc_section, alloc_layer: (A,) where it began, and whose it is.
        term: (A,) index into TERMS.
        op: (A,) the operation that made it.
        num_parameters, num_trainable: counts of the model that was traced, shared ones once.
    """

    num_layers: int
    sections: tuple[Section, ...]
    allocation: np.ndarray
    is_free: np.ndarray
    event_section: np.ndarray
    num_bytes: np.ndarray
    alloc_section: np.ndarray
    alloc_layer: np.ndarray
    term: np.ndarray
    op: tuple[str, ...]
    num_parameters: int
    num_trainable: int
