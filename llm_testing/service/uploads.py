"""`Lab.uploads`: texts and examples that come from their owner's own computer, and go again."""

import filecmp
import itertools
import threading
from pathlib import Path

from llm_testing.data.uploads import UPLOAD, Uploaded, file_name_of, find_upload, list_uploads, numbered, uploads_folder
from llm_testing.errors import DataError, NotFound
from llm_testing.service.incoming import Incoming
from llm_testing.store.files import replace_path, sync_folder
from llm_testing.store.staging import clear_leftovers


class Uploads:
    """The uploaded files of a cache folder."""

    def __init__(self, cache_dir: Path):
        self._cache_dir, self._folder, self._lock = cache_dir, uploads_folder(cache_dir), threading.Lock()

    def all(self) -> list[Uploaded]:
        """Every file, by name."""
        return list_uploads(self._cache_dir)

    def receive(self, suggested: str) -> Incoming[Uploaded]:
        """A file that is on its way.

        Args:
            suggested: its name where it comes from. A file of that name and of other bytes that is here already is
                left alone, and the new one gets a number.

        Raises:
            DataError: it is of no kind that is read.
        """
        name = file_name_of(suggested)
        if self._folder.is_dir():
            clear_leftovers(self._folder)
        return Incoming(self._folder, name, lambda draft: self._keep(draft, name))

    def remove(self, name: str) -> Uploaded:
        """Delete a file; runs that learned from it stay, and can be resumed once the same file is uploaded again.

        Raises:
            NotFound: there is none of this name.
        """
        with self._lock:
            try:
                path = find_upload(name, self._cache_dir)
            except DataError as error:
                raise NotFound(str(error)) from None
            gone = Uploaded(name, path.stat().st_size)
            path.unlink()
            return gone

    def _keep(self, draft: Path, name: str) -> Uploaded:
        num_bytes = draft.stat().st_size
        if not num_bytes:
            raise DataError(f"{name} is empty. Upload a file with something in it.")
        with self._lock:
            names = itertools.chain([name], (numbered(name, number) for number in itertools.count(2)))
            paths = (self._folder / each for each in names)
            path = next(path for path in paths if not path.exists() or filecmp.cmp(draft, path, shallow=False))
            if not path.exists():
                replace_path(draft, path)
                sync_folder(self._folder)
        return Uploaded(UPLOAD + path.name, num_bytes)
