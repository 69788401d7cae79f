"""Names of uploaded files: harmless whatever was suggested, and nothing else is found on the disk by them."""

import pytest

from llm_testing.data.corpora import open_corpus, preview
from llm_testing.data.uploads import Uploaded, file_name_of, find_upload, list_uploads, numbered, uploads_folder
from llm_testing.errors import DataError
from llm_testing.jobs.progress import never_cancel, report_nothing


@pytest.mark.parametrize(
    ("suggested", "name"),
    [
        ("notes.txt", "notes.txt"),
        ("My Notes (2).MD", "My-Notes--2-.md"),
        ("../../etc/passwd.txt", "passwd.txt"),
        (r"C:\Users\ann\rows.JSONL", "rows.jsonl"),
        (".hidden.csv", "hidden.csv"),
        (".txt", "upload.txt"),
        ("..txt", "upload.txt"),
        ("a.tar.txt.gz", "a.tar.txt.gz"),
        ("Приве\u0301т.parquet", "Приве\u0301т.parquet"),
        ("x\u202egnp\0\n.json", "x-gnp--.json"),
        ("n" * 300 + ".jsonl.gz", "n" * 60 + ".jsonl.gz"),
    ],
)
def test_a_suggested_name_becomes_a_harmless_one_that_stays_itself(suggested, name):
    assert file_name_of(suggested) == name == file_name_of(name)
    assert file_name_of(numbered(name, 2)) == numbered(name, 2) != name


@pytest.mark.parametrize("suggested", ["notes", "a.pickle", "a.csv.gz", "a.txt/", "..", "", "\0", "run.zip"])
def test_what_is_of_no_kind_that_is_read_is_refused_with_those_that_are(suggested):
    with pytest.raises(DataError, match=r"\.txt, \.md, \.jsonl.*\.parquet"):
        file_name_of(suggested)


@pytest.fixture
def cache(tmp_path):
    """A cache folder with an upload, beside what must not be found."""
    folder = uploads_folder(tmp_path)
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret " * 50)
    (folder / "notes.txt").write_text("One.\nTwo.\n")
    (folder / ".new-1-0123456789ab").write_text("half")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "inside.txt").mkdir()
    return tmp_path


def test_an_upload_is_a_corpus_by_its_name(cache):
    assert list_uploads(cache) == [Uploaded("upload:notes.txt", 10)]
    documents = open_corpus("upload:notes.txt", cache, report_nothing, never_cancel)
    assert documents.name == "upload:notes.txt"
    assert "".join(piece.text for piece in documents.pieces()) == "One.\nTwo.\n"
    assert preview("upload:notes.txt", cache).text.startswith("One.") and preview("upload:notes.txt", cache).bytes == 10


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "..", "", "/", "link.txt", "inside.txt", ".new-1-0123456789ab", "Notes.txt/", "./notes.txt",
     "notes.txt\0", "notes.txt\n", "other.txt", "n" * 5000],
)  # fmt: skip
def test_no_other_name_finds_a_file(cache, name):
    with pytest.raises(DataError, match=r"upload:notes\.txt"):
        find_upload(f"upload:{name}", cache)
