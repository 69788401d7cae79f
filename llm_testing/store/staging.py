"""Folders that are being made or removed: hidden names, of which a crash leaves nothing that counts.

A folder is built as `.new-...` and renamed into place when it is whole; to be removed it becomes `.gone-...` first.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from llm_testing.errors import WrongState
from llm_testing.store.files import draft_name, make_folder, need_folder, refusal_named, replace_path, sync_folder

_LEFTOVER = re.compile(r"\.(?:new|gone)-([0-9]{1,10})-[0-9a-f]{12}")
_CLOCK_SLACK_S = 2.0


def new_staging(folder: Path) -> Path:
    """Make a hidden folder inside folder, named after this process."""
    path = folder / draft_name()
    make_folder(path)
    return path


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A hidden folder inside folder for others to write into, also libraries that know nothing of ours.

    Where that fails nothing is left; where it succeeds whoever fills it renames it.

    Raises:
        NotEnoughDisk, NotWritable: whatever the writer made of what the system said.
    """
    staging = new_staging(folder)
    try:
        with refusal_named(staging):
            yield staging
    except BaseException:
        remove_tree(staging)
        raise


def clear_leftovers(folder: Path) -> None:
    """Remove the files and folders that processes which are gone were building or removing."""
    for entry in list(folder.iterdir()):
        match = _LEFTOVER.fullmatch(entry.name)
        if match and not _maker_lives(int(match[1]), entry):
            remove_tree(entry)


def _maker_lives(pid: int, entry: Path) -> bool:
    """Whether the process that made entry lives; a younger one with its number (after a restart) is another."""
    with suppress(psutil.Error, OSError):
        return psutil.Process(pid).create_time() <= entry.lstat().st_mtime + _CLOCK_SLACK_S
    return False


def remove_folder(path: Path) -> None:
    """Remove a folder in one step as far as readers see; the bytes go afterwards."""
    gone = path.with_name(f".gone-{os.getpid()}-{uuid4().hex[:12]}")
    replace_path(path, gone)
    sync_folder(path.parent)
    remove_tree(gone)


def remove_tree(path: Path) -> None:
    """Remove a folder that nobody sees any more; a link is removed, not followed. What resists stays for next time."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)


def size_bytes(path: Path) -> int:
    """Bytes of all files under a folder, links not followed; files that vanish meanwhile do not count."""
    total = 0
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += size_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


@contextmanager
def new_folder(to: Path, run_id: str | None = None) -> Iterator[Path]:
    """An empty folder to fill, which appears under its name when the block ends; nothing is left where it fails.

    Raises:
        WrongState: where something stands in its place, naming the run that was to be written.
    """
    if to.is_symlink() or (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise WrongState(f"{to} exists and is not empty. Give a folder that does not exist yet.", run_id)
    need_folder(to.parent)
    with filling(to.parent) as staging:
        yield staging
        if to.exists():
            to.rmdir()
        staging.rename(to)
