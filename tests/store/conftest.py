import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from llm_testing.store.runs import RunStore


@pytest.fixture
def store(tmp_path):
    """A store whose clock moves on by a second at each look, so that ids have an order."""
    seconds = iter(range(10**9))
    return RunStore(tmp_path / "runs", now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB of its own."""
    mount = shutil.which("mount")
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", path], check=True)
