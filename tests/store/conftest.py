from datetime import UTC, datetime, timedelta

import pytest

from llm_testing.store.runs import RunStore
from tests.small_disk import small_disk as mounted


@pytest.fixture
def store(tmp_path):
    """A store whose clock moves on by a second at each look, so that ids have an order."""
    seconds = iter(range(10**9))
    return RunStore(tmp_path / "runs", now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB of its own."""
    with mounted(tmp_path / "small", "1m") as path:
        yield path
