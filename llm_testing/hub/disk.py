"""A disk that is too full for a big write, said before it begins."""

from pathlib import Path

from llm_testing.errors import NotEnoughDisk
from llm_testing.store.files import free_bytes

MIB = 1 << 20
SPARE_BYTES = 64 * MIB
"""Left free for what else is written meanwhile."""


def require_free(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse a write that cannot fit.

    Raises:
        NotEnoughDisk: with what is free and what is needed.
    """
    free = free_bytes(folder)
    if free < needed_bytes + SPARE_BYTES:
        raise NotEnoughDisk(
            f"{what} needs about {needed_bytes / MIB:,.0f} MiB in {folder}, but only {free / MIB:,.0f} MiB are free. "
            "Free some space, or choose another folder."
        )
