"""A real disk of a few MiB, which a test can fill and empty again."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILLER = "filler"


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A tmpfs mounted at a folder that is made; where that cannot be done the test is skipped.

    Args:
        size: as mount takes it, like 4m.
    """
    mount = shutil.which("mount")
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    path.mkdir()
    done = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(disk: Path, leave_bytes: int) -> None:
    """Take all of a disk but so many bytes."""
    with (disk / FILLER).open("ab") as file:
        file.write(bytes(shutil.disk_usage(disk).free - leave_bytes))


def make_room(disk: Path) -> None:
    """Give back what `fill` took."""
    (disk / FILLER).unlink()


def make_read_only(disk: Path) -> None:
    """Let nobody write on a disk any more, root included."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
