"""A file that comes in pieces from outside, until it is whole."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, Self, TypeVar

from llm_testing.hub.disk import require_free
from llm_testing.store.files import draft_name, need_folder

T = TypeVar("T")


class Incoming(Generic[T]):
    """A file on its way, as a context manager: it lies under a hidden name, and is gone in the end.

    Args:
        folder: where it lies meanwhile.
        what: what it is called where the disk is too full for it.
        use: what is done with it once it is whole.
    """

    def __init__(self, folder: Path, what: str, use: Callable[[Path], T]):
        self._folder, self._what, self._use, self._path = folder, what, use, folder / draft_name()

    def __enter__(self) -> Self:
        need_folder(self._folder)
        self._file = self._path.open("xb")
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        with suppress(OSError):
            self._path.unlink()

    def write(self, block: bytes) -> None:
        """Take the next piece.

        Raises:
            NotEnoughDisk: before the disk is full.
        """
        require_free(self._folder, len(block), self._what)
        self._file.write(block)

    def whole(self) -> T:
        """Nothing more comes: what `use` makes of the file."""
        self._file.flush()
        return self._use(self._path)
