"""A little room that a run keeps for its last words: on a disk that is full it still says how it ended."""

import os
from contextlib import suppress
from pathlib import Path

from llm_testing.errors import DiskRefused
from llm_testing.store.files import draft_name, write_new

RESERVE_BYTES = 64 * 1024
"""A record and some rows of each journal."""


class Reserve:
    """Room in a run's folder, until it is released. On a disk that is full already there is none.

    It has the name of a draft, so that what a dead process kept is cleared with its other leftovers.
    """

    def __init__(self, folder: Path):
        self._path = folder / draft_name()
        # Not zeros: a disk that compresses would keep no room for them.
        try:
            write_new(self._path, lambda file: file.write(os.urandom(RESERVE_BYTES)))
        except (DiskRefused, OSError):
            self.release()

    def release(self) -> None:
        """Give the room back; more than once does no harm."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
