"""Labs for the tests of the REST calls."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llm_testing.data import corpora
from llm_testing.hub.datasets import Rows
from llm_testing.service.lab import Lab
from tests.hub.stand_in import FileServer, running

BOOK = "The morning was bright, and nobody in the house had slept. " * 80


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


@pytest.fixture
def stand_ins(monkeypatch):
    """Every corpus that is a download comes from this machine."""

    def fetch(repo, config, split, column, to, report, check, first=None):
        to.write_text(json.dumps({"text": BOOK}) + "\n", encoding="utf-8")
        return Rows(f"hf:{repo}", "0" * 64, to.stat().st_size, 1)

    monkeypatch.setattr("llm_testing.data.sources.fetch_text_dataset", fetch)
    with running(FileServer({"/book.txt": BOOK.encode()})) as server:
        here = [
            replace(row, address=f"{server.url}/book.txt", sha256=None) if row.address.startswith("http") else row
            for row in corpora.CORPORA
        ]
        monkeypatch.setattr(corpora, "CORPORA", tuple(here))
        yield
