"""What is done to published texts before they are read."""

import json

from llm_testing.data import corpora
from llm_testing.data.corpora import CORPORA, find_corpus, open_corpus
from llm_testing.data.documents import Piece
from llm_testing.data.transforms import TRANSFORMS, books, introductions, lines, unwrap, unwrapped
from llm_testing.hub.datasets import Rows
from llm_testing.jobs.progress import never_cancel, report_nothing
from tests.data.conftest import joined

WRAPPED = """CHAPTER I

It was a bright cold day in April, and the clocks were striking
thirteen; nobody in the whole of the town had ever heard such a
thing.

    Tyger Tyger, burning bright,
    In the forests of the night

He went home."""


def documents(*texts: str) -> list[Piece]:
    """Each text as a document of two pieces."""
    return [piece for text in texts for piece in (Piece(text[:3], False), Piece(text[3:], True))]


def test_wrapped_prose_becomes_one_line_a_paragraph_and_verse_stays():
    assert unwrap(WRAPPED).split("\n") == [
        "CHAPTER I",
        "",
        "It was a bright cold day in April, and the clocks were striking thirteen; nobody in the whole of the town "
        "had ever heard such a thing.",
        "",
        "    Tyger Tyger, burning bright,",
        "    In the forests of the night",
        "",
        "He went home.",
    ]
    assert unwrap(unwrap(WRAPPED)) == unwrap(WRAPPED)
    assert unwrap(WRAPPED).split() == WRAPPED.split()  # words are never changed, lost or glued


def test_normalizing_keeps_documents_whatever_pieces_they_come_in():
    assert joined(unwrapped(documents(WRAPPED, "Another book."))) == [unwrap(WRAPPED), "Another book."]


def test_books_become_one_text_with_an_empty_line_between_them():
    assert joined(books(documents("first", "second"))) == ["first\n\nsecond"]
    assert list(books([])) == []


def test_lines_become_one_text_without_empty_ones():
    assert joined(lines(documents(" = Title = \n", "  \n", "some text \n"))) == ["= Title =\nsome text"]


def test_an_introduction_ends_before_the_first_heading():
    articles = documents("Begun.\n\nMore.\n\n## History\n\nLong.", "## Only a heading\n\nx", "No heading # here.")
    assert joined(introductions(articles)) == ["Begun.\n\nMore.", "No heading # here."]


def test_the_earlier_names_of_pg19_are_all_there_and_pair_by_kind():
    kinds = [s + d + n for s in ("", "_small") for d in ("", "_docs") for n in ("", "_normalized")]
    for kind in kinds:
        for split in ("train", "validation", "test"):
            corpus = find_corpus(f"pg19_{split}{kind}")
            assert corpus.address == f"hf:emozilla/pg19@{split}#text"
            assert corpus.first == (100 if "_small" in kind else None)
            assert ("books" in corpus.transforms) == ("_docs" not in kind)
            assert ("unwrapped" in corpus.transforms) == kind.endswith("_normalized")
            assert corpus.pairs_with == (f"pg19_validation{kind}" if split == "train" else None)
    assert {"wikitext2", "wikipedia_ga_intros"} <= {corpus.name for corpus in CORPORA}
    assert all(name in TRANSFORMS for corpus in CORPORA for name in corpus.transforms)


def test_rows_of_one_file_share_its_download_and_differ_in_what_is_read(tmp_path, monkeypatch):
    asked = []

    def fetch(repo, config, split, column, to, report, check, first=None):
        asked.append((repo, split, first))
        to.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("One book.", "Another book.")))
        return Rows("hf:x", "0" * 64, to.stat().st_size, 2)

    monkeypatch.setattr("llm_testing.data.sources.fetch_text_dataset", fetch)
    docs, flat = (
        joined(open_corpus(f"pg19_test_small{kind}", tmp_path, report_nothing, never_cancel).pieces())
        for kind in ("_docs", "")
    )
    assert docs == ["One book.", "Another book."] and flat == ["One book.\n\nAnother book."]
    assert asked == [("emozilla/pg19", "test", 100)]
    states = {state.corpus.name: state.at_hand for state in corpora.corpora(tmp_path)}
    assert states["pg19_test_small"] and states["pg19_test_small_docs_normalized"] and not states["pg19_test"]
