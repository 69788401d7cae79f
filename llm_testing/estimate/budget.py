"""How much memory a run may take, and whether an estimate fits into it.

All sizes are powers of two: a card of 16 GB has 16 * 2**30 bytes by its name, of which its driver leaves less.
"""

from dataclasses import dataclass
from typing import Literal

GIB = 2**30
MIB = 2**20

Verdict = Literal["fits", "tight", "exceeds"]

CONTEXT_BYTES = 480 * MIB
"""What a process's CUDA context takes beside torch's allocator. Assumed, from reports of 0.3 to 0.6 GiB with kernels
loaded as they are needed; benchmarks/vram_gpu.py measures it on a card."""

WORKSPACE_BYTES = 8320 * 1024
"""A cuBLAS workspace in torch's default configuration, :4096:2:16:8. Source: ATen/cuda/CublasHandlePool.cpp, 2.13."""
WORKSPACE_BYTES_SM90 = 32 * MIB
"""The same on Hopper and later. Source: as above."""
NUM_WORKSPACES = 2
"""One for each thread with a cuBLAS handle: the one that runs the model, and autograd's."""

LEFT_BY_DRIVER = 0.97
"""Share of a card's name that its driver reports, where the card is not known. Source: DESIGN section 7."""

CPU_SHARE = 0.9
"""Share of the memory that this process may still use beyond which a run on the CPU is refused: running out there ends
the process without a word. Source: DESIGN section 7."""


@dataclass(frozen=True)
class Card:
    """A graphics card to ask about.

    Args:
        name: as shops call it.
        num_gb: by its name.
        reported_gib: what torch reports as its total memory.
        hopper: it is of the Hopper generation or later.
    """

    name: str
    num_gb: int
    reported_gib: float
    hopper: bool = False


CARDS = (
    Card("RTX 3070", 8, 7.79),
    Card("RTX 3080", 10, 9.77),
    Card("RTX 2080 Ti", 11, 10.75),
    Card("RTX 3060", 12, 11.76),
    Card("T4", 16, 14.75),
    Card("V100", 16, 15.77),
    Card("RTX 4080", 16, 15.70),
    Card("RTX 3090", 24, 23.69),
    Card("RTX 4090", 24, 23.64),
    Card("L4", 24, 22.05),
    Card("RTX 5090", 32, 31.36, hopper=True),
    Card("A100 40 GB", 40, 39.39),
    Card("L40S", 48, 44.40),
    Card("RTX A6000", 48, 47.54),
    Card("A100 80 GB", 80, 79.15),
    Card("H100", 80, 79.11, hopper=True),
)
"""Cards with the "total capacity" that torch's own out-of-memory messages state for them in public bug reports."""


@dataclass(frozen=True)
class Budget:
    """Memory that a run may take.

    Args:
        name: what it is the memory of, in words.
        device: "cuda" or "cpu": whose memory behaviour.
        free_bytes: what nobody else holds.
        context_bytes: what the process takes beside its tensors; 0 where free_bytes leaves it out already.
        workspaces: bytes of each workspace that a library keeps.
    """

    name: str
    device: Literal["cuda", "cpu"]
    free_bytes: int
    context_bytes: int
    workspaces: tuple[int, ...]


def card_of(num_gb: float) -> Budget:
    """A card of a size of which no more is known."""
    return Budget(
        name=f"a card of {num_gb:g} GB",
        device="cuda",
        free_bytes=int(num_gb * GIB * LEFT_BY_DRIVER),
        context_bytes=CONTEXT_BYTES,
        workspaces=(WORKSPACE_BYTES,) * NUM_WORKSPACES,
    )


def card_named(name: str) -> Budget:
    """One of CARDS, empty.

    Raises:
        KeyError: for a name that is not among them.
    """
    card = {card.name: card for card in CARDS}[name]
    workspace = WORKSPACE_BYTES_SM90 if card.hopper else WORKSPACE_BYTES
    return Budget(card.name, "cuda", int(card.reported_gib * GIB), CONTEXT_BYTES, (workspace,) * NUM_WORKSPACES)


def card_at_hand(name: str, free_bytes: int, has_context: bool, capability: tuple[int, int]) -> Budget:
    """The free memory of a card in this machine.

    Args:
        free_bytes: as the driver says now, so that what other programs hold is left out.
        has_context: this process has its context already, so that free_bytes leaves it out.
        capability: of the card, (9, 0) for Hopper.
    """
    workspace = WORKSPACE_BYTES_SM90 if capability >= (9, 0) else WORKSPACE_BYTES
    context_bytes = 0 if has_context else CONTEXT_BYTES
    return Budget(name, "cuda", free_bytes, context_bytes, (workspace,) * NUM_WORKSPACES)


def main_memory(available_bytes: int) -> Budget:
    """What this process may still use of the machine's memory, for a run on the CPU."""
    return Budget("this machine's memory", "cpu", available_bytes, 0, ())


def verdict_of(budget: Budget, reserved_bytes: int, minimum_bytes: int) -> Verdict:
    """Whether a need fits: with all the allocator wants, only with the least it can do with, or not at all."""
    if budget.device == "cpu":
        return "fits" if reserved_bytes <= CPU_SHARE * budget.free_bytes else "exceeds"
    if reserved_bytes + budget.context_bytes <= budget.free_bytes:
        return "fits"
    return "tight" if minimum_bytes + budget.context_bytes <= budget.free_bytes else "exceeds"
