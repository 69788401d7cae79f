import json

import pytest

from llm_testing.data import builtin, corpora
from llm_testing.data.corpora import CORPORA, Corpus, download, open_corpus, preview
from llm_testing.data.corpora import corpora as list_corpora
from llm_testing.data.sources import HubSource, UrlSource, parse_address
from llm_testing.errors import Cancelled, DataError, DownloadError
from llm_testing.jobs.progress import never_cancel, report_nothing
from tests.data.conftest import Phases, joined
from tests.hub.stand_in import Answer, FileServer, running

BOOK = ("A book of a few words. " * 50 + "\n").encode()


@pytest.fixture
def web(monkeypatch):
    """A server with a book on it, and a named corpus that is downloaded from there."""
    monkeypatch.setattr("llm_testing.hub.download.BACKOFF_S", 0.001)
    with running(FileServer({"/book.txt": BOOK, "/rows.jsonl": b'{"text": "one"}\n{"text": "two"}\n'})) as server:
        book = Corpus("book", "A book", "download", "A book.", 1_000, "none", address=f"{server.url}/book.txt")
        monkeypatch.setattr(corpora, "CORPORA", (*CORPORA, book))
        yield server


def open_(value, cache_dir, report=report_nothing, check=never_cancel):
    return open_corpus(str(value), cache_dir, report, check)


def test_every_row_of_the_table_can_be_opened_or_fetched():
    names = [corpus.name for corpus in CORPORA]
    assert len(set(names)) == len(names)
    assert {"python-docs", "python-stdlib", "tiny", "shakespeare", "verdict", "tinystories"} <= set(names)
    for corpus in CORPORA:
        assert (corpus.kind == "download") == bool(parse_address(corpus.address))
        assert corpus.pairs_with is None or corpus.pairs_with in names
        assert corpus.about.endswith(".")


def test_python_docs_is_some_hundred_documents_of_english(python_docs):
    documents = joined(python_docs.pieces())
    assert 300 < len(documents) < 3_000
    assert 1_000_000 < python_docs.num_bytes < 4_000_000
    text = "".join(documents)
    assert text.count(" the ") > 10_000
    assert '"with" statement' in text  # from the topics
    assert "Return a string version of object" in text or "JSON (JavaScript Object Notation)" in text  # from docstrings
    assert text.isprintable() or "\0" not in text


def test_python_docs_is_read_from_source_once(cache_dir, python_docs, monkeypatch):
    monkeypatch.setattr(builtin, "_docstrings", None)
    again = open_("python-docs", cache_dir)
    assert list(again.pieces()) == list(python_docs.pieces())


def test_kept_docs_that_were_damaged_are_read_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "_library_files", lambda: [builtin._library() / "json" / "__init__.py"])
    first = list(open_("python-docs", tmp_path).pieces())
    (kept,) = (tmp_path / "builtin").iterdir()
    kept.write_text(kept.read_text().replace("JSON", "json"))
    assert list(open_("python-docs", tmp_path).pieces()) == first
    assert any("JSON (JavaScript Object Notation)" in piece.text for piece in first)


def test_the_last_tenth_of_the_docs_is_like_the_rest(python_docs):
    documents = joined(python_docs.pieces())
    topics = [i for i, text in enumerate(documents) if "**********" in text or "======" in text]
    assert min(topics) < len(documents) // 10
    assert max(topics) > len(documents) * 9 // 10


def test_the_standard_library_is_code_without_its_tests(tmp_path):
    documents = open_("python-stdlib", tmp_path)
    text = "".join(piece.text for piece in documents.pieces())
    assert 5_000_000 < documents.num_bytes < 40_000_000
    assert "def loads(s, *, cls=None" in text
    assert text.count("self.assertEqual(") < 100


def test_a_stop_is_heard_while_python_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("llm_testing.hub.pace.INTERVAL_S", 0.0)
    phases = Phases()

    def stop():
        if phases.seen and phases.seen[-1].done > 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        open_("python-docs", tmp_path, phases, stop)
    assert phases.seen[-1].done < 10
    assert not (tmp_path / "builtin").exists()


def test_tiny_is_shipped(tmp_path):
    (piece,) = open_("tiny", tmp_path).pieces()
    assert 350 < len(piece.text.encode()) < 600
    assert piece.text.isascii()


def test_a_download_is_fetched_once_with_its_record(web, tmp_path):
    assert [state.at_hand for state in list_corpora(tmp_path) if state.corpus.name == "book"] == [False]
    for _ in range(2):
        assert "".join(piece.text for piece in open_("book", tmp_path).pieces()).encode() == BOOK
    assert len(web.log) == 1
    (state,) = (state for state in list_corpora(tmp_path) if state.corpus.name == "book")
    assert (state.at_hand, state.bytes) == (True, len(BOOK))
    record = json.loads((tmp_path / "downloads" / "book.txt.json").read_text())
    assert record["url"] == f"{web.url}/book.txt"
    assert record["bytes"] == len(BOOK)
    assert len(record["sha256"]) == 64
    assert record["time"].endswith("Z")


def test_a_download_that_was_cut_on_disk_is_fetched_again(web, tmp_path):
    path = download("book", tmp_path, report_nothing, never_cancel)
    path.write_bytes(BOOK[:10])
    assert "".join(piece.text for piece in open_("book", tmp_path).pieces()).encode() == BOOK


def test_an_address_is_a_corpus_and_its_ending_says_what_it_is(web, tmp_path):
    assert joined(open_(f"{web.url}/rows.jsonl", tmp_path).pieces()) == ["one", "two"]
    assert joined(open_(f"{web.url}/book.txt?x=1", tmp_path).pieces()) == [BOOK.decode()]


def test_a_web_page_is_not_taken_for_text(web, tmp_path):
    web.next_answers["/page"] = [Answer(b"<html>", 200, {"Content-Type": "text/html; charset=utf-8"})]
    with pytest.raises(DownloadError, match="is a web page, not a text file. .*Raw.* At hand"):
        open_(f"{web.url}/page", tmp_path)
    assert list((tmp_path / "downloads").iterdir()) == []


def test_without_a_network_a_download_names_what_is_at_hand(tmp_path, monkeypatch):
    book = Corpus("book", "", "download", "", 0, "", address="http://127.0.0.1:9/book.txt")
    monkeypatch.setattr(corpora, "CORPORA", (book,))
    with pytest.raises(
        DownloadError, match="127.0.0.1 could not be reached for book .* python-docs, python-stdlib and tiny"
    ):
        open_("book", tmp_path)


def test_what_needs_no_download_is_none_to_download(tmp_path):
    assert download("tiny", tmp_path, report_nothing, never_cancel) is None
    (tmp_path / "a.txt").write_text("text")
    assert download(str(tmp_path / "a.txt"), tmp_path, report_nothing, never_cancel) is None
    with pytest.raises(DataError, match="Did you mean tinystories"):
        download("tinystorys", tmp_path, report_nothing, never_cancel)


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("https://host/a/B.TXT", UrlSource("https://host/a/B.TXT")),
        ("hf:some/set", HubSource("some/set")),
        ("hf:some/set/en", HubSource("some/set", "en")),
        ("hf:some/set@validation", HubSource("some/set", None, "validation")),
        ("hf:some/set#story", HubSource("some/set", column="story")),
        ("hf:some/set/20220301.simple@test#body text", HubSource("some/set", "20220301.simple", "test", "body text")),
        ("python-docs", None),
        ("hfx:some/set", None),
        ("/home/me/text.txt", None),
    ],
)
def test_addresses_are_read(value, source):
    assert parse_address(value) == source


@pytest.mark.parametrize("value", ["hf:", "hf:alone", "hf:a/b/", "hf:a/b@", "hf:../../etc"])
def test_what_only_begins_like_a_hub_address_is_refused(value, tmp_path):
    with pytest.raises(DataError, match="The form is hf:owner/name"):
        open_(value, tmp_path)


@pytest.mark.parametrize(
    ("url", "name"),
    [("a.txt", "x.txt"), ("a.jsonl.gz", "x.jsonl.gz"), ("a.MD", "x.md"), ("a", "x.txt"), ("a.php", "x.txt"),
     ("a.gz", "x.txt.gz"), ("", "x.txt")],
)  # fmt: skip
def test_a_download_is_kept_under_an_ending_that_can_be_read(url, name):
    assert UrlSource(f"https://host/{url}?q=a.b#c").file_name("x") == name


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("shakespear", "Did you mean shakespeare"),
        ("Python-Docs", "Did you mean python-docs"),
        ("no-such-thing-here", ""),
        ("", ""),
        ("x" * 5000, ""),
        ("a\0b", ""),
        ("/no/such/file.txt", ""),
    ],
)
def test_an_unknown_name_is_met_with_the_names_there_are(tmp_path, value, hint):
    with pytest.raises(
        DataError, match=f"There is no corpus and no file or folder .*{hint}.*Corpora are python-docs, "
    ) as e:
        open_(value, tmp_path)
    assert len(str(e.value)) < 1000


def test_a_preview_shows_the_beginning_and_counts(tmp_path, web):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(700)))
    seen = preview(str(tmp_path / "a.jsonl"), tmp_path, num_chars=20)
    assert (seen.text, seen.documents, seen.at_hand) == ("row 0\n\nrow 1\n\nrow 2\n", 700, True)
    assert seen.bytes == (tmp_path / "a.jsonl").stat().st_size
    assert preview("tiny", tmp_path).documents == 1


def test_a_preview_downloads_nothing(tmp_path, web):
    seen = preview("book", tmp_path)
    assert (seen.text, seen.documents, seen.bytes, seen.at_hand) == ("", None, 1_000, False)
    assert preview("hf:some/set", tmp_path).at_hand is False
    assert web.log == []
