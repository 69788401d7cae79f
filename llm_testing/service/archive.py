"""All runs as one zip, and runs back from such a zip: what keeps them where the disk does not last.

A zip comes from outside, so nothing of it is believed: an entry's name only chooses a place inside a run's own new
folder, links and odd names are refused, and a run appears only when it is whole. Runs that are there are never touched.
"""

import os
import stat
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_testing.config.foreign import printable, refuse_bomb
from llm_testing.errors import BadRunId, DamagedFile, NotFound, UserError
from llm_testing.hub.disk import require_free
from llm_testing.service.downloads import zip_of
from llm_testing.service.incoming import Incoming
from llm_testing.store import files
from llm_testing.store.ids import check_run_id
from llm_testing.store.run_folder import RECORD, RunFolder
from llm_testing.store.runs import RunStore
from llm_testing.store.zips import open_zip, unpacked

MOST_ENTRIES = 200_000
ALWAYS_UNPACKED_BYTES = 2**26
_MOST_PARTS = 6
"""Folders in each other in an entry's name; a run has three."""
_MOST_NAME_BYTES = 255
"""Of one part of a name, as file systems have it."""


@dataclass(frozen=True)
class Restored:
    """What came back.

    Args:
        skipped: why each of the other runs was left out, by run id.
    """

    restored: list[str]
    skipped: dict[str, str]


class Archive:
    """All runs of a store, out and in."""

    def __init__(self, store: RunStore):
        self._store = store

    def zipped(self, with_checkpoints: bool = True, run_ids: Sequence[str] = ()) -> Iterator[bytes]:
        """Every whole run, or those that are named, as one zip, in pieces.

        Raises:
            BadRunId, NotFound: naming a run, before anything is given.
        """
        folders = [self._store.open(run_id) for run_id in dict.fromkeys(run_ids)] if run_ids else self._folders()
        return zip_of(folders, with_checkpoints)

    def _folders(self) -> Iterator[RunFolder]:
        for row in self._store.rows():
            with suppress(NotFound):  # deleted meanwhile
                if row.usable:
                    yield self._store.open(row.run_id)

    def receive(self, name: str = "This file") -> Incoming[Restored]:
        """A zip that is on its way; its runs are restored once it is whole.

        Args:
            name: what its owner calls it.
        """
        return Incoming(self._store.root, name, lambda path: self.restore(path, name))

    def restore(self, path: Path, name: str = "This file") -> Restored:
        """Put the runs of a zip beside those that there are.

        Raises:
            DataError: for what is no zip of runs; nothing has changed then.
            NotEnoughDisk: before anything is unpacked.
        """
        with open_zip(path, name, MOST_ENTRIES) as archive:
            runs = _runs_in(archive, name, path.stat().st_size)
            size = sum(entry.file_size for entries in runs.values() for entry in entries.values())
            require_free(self._store.root, size, "The unpacked zip")
            return self._restored(archive, runs)

    def _restored(self, archive: zipfile.ZipFile, runs: dict[str, dict[str, zipfile.ZipInfo]]) -> Restored:
        restored, skipped = [], {}
        for run_id, entries in runs.items():
            try:
                self._store.adopt(run_id, lambda draft, entries=entries: _unpack(archive, entries, draft))
                restored.append(run_id)
            except UserError as error:
                skipped[run_id] = str(error)
        return Restored(restored, skipped)


def _runs_in(archive: zipfile.ZipFile, name: str, num_bytes: int) -> dict[str, dict[str, zipfile.ZipInfo]]:
    """The entries of each run by their place in its folder.

    Args:
        num_bytes: of the zip itself.

    Raises:
        DataError: for any entry that is not a plain file of a run, or for more than a zip of runs can hold.
    """
    name = printable(name)
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    if not entries:
        raise DamagedFile(f"{name} holds no files. Give one that Download all wrote.")
    refuse_bomb(name, num_bytes, sum(entry.file_size for entry in entries), ALWAYS_UNPACKED_BYTES)
    runs: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for entry in entries:
        run_id, _, inside = entry.filename.partition("/")
        if not _is_plain(entry, run_id, inside) or inside in runs.get(run_id, {}):
            entry_name = ascii(entry.filename[:80])
            raise DamagedFile(
                f"{name} holds {entry_name}, which is no file of a run. Give one that Download all wrote."
            )
        runs.setdefault(run_id, {})[inside] = entry
    for run_id, inside in runs.items():
        if RECORD not in inside:
            raise DamagedFile(f"{name} holds no {RECORD} of run {run_id}. Give one that Download all wrote.")
    return runs


def _is_plain(entry: zipfile.ZipInfo, run_id: str, inside: str) -> bool:
    """Whether an entry is a regular file at a harmless place in the folder of a run."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    parts = inside.split("/")
    with suppress(BadRunId):
        return (
            check_run_id(run_id) == run_id
            and kind in (0, stat.S_IFREG)
            and 1 <= len(parts) <= _MOST_PARTS
            and all(part and not part.startswith(".") and part.isprintable() for part in parts)
            and all(len(part.encode()) <= _MOST_NAME_BYTES for part in parts)
            and not any(letter in inside for letter in '\\:*?"<>|')
        )
    return False


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], draft: Path) -> None:
    for inside, entry in entries.items():
        path = draft.joinpath(*inside.split("/"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_new(path, lambda file, entry=entry: file.writelines(unpacked(archive, entry)))
        except (FileExistsError, NotADirectoryError):
            raise DamagedFile(
                f"{ascii(inside)} has the place of another file or folder. Give a zip that Download all wrote."
            ) from None
        with suppress(ValueError, OverflowError, OSError):  # a time that is none
            changed_s = time.mktime((*entry.date_time, 0, 0, -1))
            os.utime(path, (changed_s, changed_s))  # so that the same run gives the same zip again
