"""Labs for the tests of the REST calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_testing.service.lab import Lab


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the labs of a module."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def lab(tmp_path: Path, cache_dir: Path) -> Iterator[Lab]:
    """A lab over an empty runs folder; whatever still runs is ended with the test."""
    lab = Lab(tmp_path / "runs", cache_dir)
    yield lab
    assert lab.shutdown(60), "a run outlived its test"
