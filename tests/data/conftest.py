"""Corpora and tokenizers that are made once for all data tests."""

from collections.abc import Iterable
from pathlib import Path
from pydoc_data.topics import topics

import pytest

from llm_testing.data import gpt2
from llm_testing.data.bpe import BpeTokenizer
from llm_testing.data.char import CharTokenizer
from llm_testing.data.corpora import open_corpus
from llm_testing.data.documents import Piece
from llm_testing.data.gpt2 import load_gpt2
from llm_testing.data.prepare import prepare
from llm_testing.jobs.progress import Progress, never_cancel, report_nothing

SHARED = Path(__file__).parents[3] / "shared" / "data"


def shared_file(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository: it is used for tests only and no part of it")
    return path


def joined(pieces: Iterable[Piece]) -> list[str]:
    """The documents that pieces belong to."""
    documents = [""]
    for text, ends_document in pieces:
        documents[-1] += text
        if ends_document:
            documents.append("")
    return documents[:-1]


class Phases:
    """A report that keeps the phases in their order."""

    def __init__(self):
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(progress.phase for progress in self.seen))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> Path:
    """One cache for what takes seconds to make."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def python_docs(cache_dir):
    return open_corpus("python-docs", cache_dir, report_nothing, never_cancel)


@pytest.fixture(scope="session")
def prepared_docs(cache_dir, python_docs):
    """python-docs with bpe, as a run gets it."""
    return prepare("python-docs", None, "bpe", 1024, cache_dir, report_nothing, never_cancel)


@pytest.fixture(scope="session")
def shakespeare() -> str:
    return shared_file("tinyshakespeare.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def gpt2_tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    (folder / "downloads").mkdir()
    (folder / "downloads" / gpt2.FILE_NAME_RANKS).write_bytes(shared_file("gpt2.tiktoken").read_bytes())
    return load_gpt2(folder, report_nothing, never_cancel)


@pytest.fixture(scope="session")
def bpe_tokenizer():
    return BpeTokenizer.train(list(topics.values())[:60], 1000)


@pytest.fixture(scope="session")
def char_tokenizer():
    return CharTokenizer.train(["The quick brown fox\njumps, over it.", "\u00e9\u0416\u4e2d\U0001f600"])


@pytest.fixture(params=["bpe", "char", "gpt2"])
def tokenizer(request):
    """Each of the three kinds."""
    return request.getfixturevalue(f"{request.param}_tokenizer")
