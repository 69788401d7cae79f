"""The corpora by name, and the one function that opens a corpus of any kind.

A corpus is asked for by a name of CORPORA, by a path to a file or folder, by the address of a file (http, https), as
a text dataset of the Hub (hf:owner/name[/config][@split][#column]) or as a file that was brought here (upload:NAME).
"""

import difflib
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from llm_testing.config.foreign import typed_path
from llm_testing.data.builtin import python_docs, python_stdlib
from llm_testing.data.documents import Documents
from llm_testing.data.sources import HUB_FORM, HubSource, UrlSource, bring, downloaded, parse_address, stem_of
from llm_testing.data.textfiles import list_files, open_path
from llm_testing.data.transforms import transformed
from llm_testing.data.uploads import find_upload, is_upload
from llm_testing.errors import DataError
from llm_testing.jobs.progress import Check, Report, never_cancel, report_nothing

PREVIEW_CHARS = 2_000
COUNT_BYTES = 16 << 20
"""A preview counts the documents of files up to this size; counting more would take longer than a look may."""


@dataclass(frozen=True)
class Corpus:
    """One named corpus, as the page lists it.

    Args:
        about: one sentence for somebody who has to choose.
        approx_bytes: size of its text, about.
        pairs_with: the corpus to validate on, where the publisher made one; None: the last tenth is held out.
        address: where a download is; a row with a new address is all that a new download needs.
        sha256: of the file at address, where it is known.
        first: take only so many documents of it; None takes all.
        stem: the name of its file, where rows share one.
        transforms: what is done to its documents, by the names of data.transforms.
    """

    name: str
    title: str
    kind: Literal["built in", "shipped", "download"]
    about: str
    approx_bytes: int
    licence: str
    pairs_with: str | None = None
    address: str = ""
    sha256: str | None = None
    first: int | None = None
    stem: str = ""
    transforms: tuple[str, ...] = ()


PG19_FORM = "pg19_{train,validation,test}[_small][_docs][_normalized]"


def _pg19() -> tuple[Corpus, ...]:
    """PG-19 by split, each whole or small, with or without documents, wrapped or not: a row for each name."""
    rows = []
    for (split, size), small, docs, normalized in product(
        (("train", 11_000_000_000), ("validation", 18_000_000), ("test", 41_000_000)), *3 * [(False, True)]
    ):
        base = f"pg19_{split}" + ("_small" if small else "")
        kind = ("_docs" if docs else "") + ("_normalized" if normalized else "")
        pair = f"pg19_validation{'_small' if small else ''}{kind}"
        about = [
            f"{'A hundred books' if small else 'All books'} of its {split} part",
            "one document a book" if docs else "one text",
            "lines joined into paragraphs" if normalized else "lines as printed",
        ]
        rows.append(
            Corpus(
                base + kind,
                f"PG-19, {split}" + (", small" if small else "") + (", documents" if docs else "")
                + (", normalized" if normalized else ""),
                "download",
                "Books of Project Gutenberg from before 1919. " + ", ".join(about) + ".",
                min(size, 40_000_000) if small else size,
                "public domain",
                pairs_with=pair if split == "train" else None,
                address=f"hf:emozilla/pg19@{split}#text",
                first=100 if small else None,
                stem=base,
                transforms=(*(("unwrapped",) if normalized else ()), *(() if docs else ("books",))),
            )
        )  # fmt: skip
    return tuple(rows)


CORPORA = (
    Corpus(
        "python-docs",
        "Python's documentation",
        "built in",
        "Topics of Python's help and the docstrings of its standard library: technical English that every Python has.",
        2_300_000,
        "PSF-2.0",
    ),
    Corpus(
        "python-stdlib",
        "Python's standard library",
        "built in",
        "The source code of the standard library: a corpus of code that every Python has.",
        12_000_000,
        "PSF-2.0",
    ),
    Corpus(
        "tiny",
        "A few sentences",
        "shipped",
        "So small that a model learns it by heart in seconds: to try the controls.",
        500,
        "this project's",
    ),
    Corpus(
        "shakespeare",
        "Tiny Shakespeare",
        "download",
        "Forty thousand lines of Shakespeare's plays, the text of many tutorials.",
        1_115_394,
        "public domain",
        address="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    Corpus(
        "verdict",
        "The Verdict",
        "download",
        "A short story by Edith Wharton, 1908: small enough to overfit within minutes.",
        20_479,
        "public domain",
        address="https://raw.githubusercontent.com/rasbt/LLMs-from-scratch/main/ch02/01_main-chapter-code/the-verdict.txt",
    ),
    Corpus(
        "tinystories",
        "TinyStories",
        "download",
        "Two million short stories in the words of small children: a small model learns to write whole ones.",
        1_920_000_000,
        "CDLA-Sharing-1.0",
        pairs_with="tinystories_validation",
        address="hf:roneneldan/TinyStories@train#text",
    ),
    Corpus(
        "tinystories_validation",
        "TinyStories, validation",
        "download",
        "The stories that the publisher of TinyStories held out.",
        19_400_000,
        "CDLA-Sharing-1.0",
        address="hf:roneneldan/TinyStories@validation#text",
    ),
    Corpus(
        "wikitext2",
        "WikiText-2",
        "download",
        "Articles of Wikipedia that its readers found good: a small benchmark of language models.",
        10_900_000,
        "CC-BY-SA-3.0",
        address="hf:Salesforce/wikitext/wikitext-2-raw-v1@train#text",
        transforms=("lines",),
    ),
    Corpus(
        "wikipedia_ga_intros",
        "Introductions of good articles",
        "download",
        "The beginnings of the articles that Wikipedia marks as good or featured: short, careful prose.",
        65_000_000,
        "CC-BY-SA-4.0",
        address="hf:euirim/goodwiki@train#markdown",
        transforms=("introductions",),
    ),
    *_pg19(),
)


@dataclass(frozen=True)
class CorpusState:
    """A named corpus and whether it is here; bytes is what it takes on disk, None for what is not (yet) there."""

    corpus: Corpus
    at_hand: bool
    bytes: int | None


@dataclass(frozen=True)
class Preview:
    """A look at a corpus: documents and bytes are None where finding out would take long or a download."""

    text: str
    documents: int | None
    bytes: int | None
    at_hand: bool


def corpora(cache_dir: Path) -> list[CorpusState]:
    """Every named corpus, and which are at hand. Looks at file sizes only."""
    states = []
    for corpus in CORPORA:
        if corpus.kind == "download":
            path = downloaded(_source(corpus), corpus.stem or corpus.name, cache_dir)
            states.append(CorpusState(corpus, path is not None, path.stat().st_size if path else None))
        else:
            shipped = _tiny_path().stat().st_size if corpus.kind == "shipped" else None
            states.append(CorpusState(corpus, True, shipped))
    return states


def find_corpus(name: str) -> Corpus | None:
    """The named corpus, or None."""
    return next((corpus for corpus in CORPORA if corpus.name == name), None)


def download(name: str, cache_dir: Path, report: Report, check: Check) -> Path | None:
    """Bring a corpus to disk, by name or address, where it is not there yet; None for what needs no download."""
    source, stem = _where(name)
    if source:
        return bring(source, stem, name, cache_dir, report, check)
    if not find_corpus(name):
        _own_path(name, cache_dir)  # refuses what there is not
    return None


def open_corpus(name_or_path: str, cache_dir: Path, report: Report, check: Check) -> Documents:
    """The documents of a corpus of any kind, downloaded first where they have to be.

    Raises:
        DataError: there is no such corpus, or it is no text.
        DownloadError: it is a download and cannot be had.
    """
    corpus = find_corpus(name_or_path)
    if corpus and corpus.kind != "download":
        readers = {"python-docs": python_docs, "python-stdlib": python_stdlib, "tiny": _tiny}
        return readers[corpus.name](corpus.name, cache_dir, report, check)
    source, stem = _where(name_or_path)
    if source:
        brought = open_path(bring(source, stem, name_or_path, cache_dir, report, check), name_or_path)
        return transformed(brought, corpus.transforms) if corpus else brought
    return open_path(_own_path(name_or_path, cache_dir), name_or_path)


def preview(
    name_or_path: str,
    cache_dir: Path,
    report: Report = report_nothing,
    check: Check = never_cancel,
    num_chars: int = PREVIEW_CHARS,
) -> Preview:
    """The beginning of a corpus and its size. Downloads nothing: of what is not here it knows the size at most."""
    source, stem = _where(name_or_path)
    if source and not downloaded(source, stem, cache_dir):
        corpus = find_corpus(name_or_path)
        return Preview("", None, corpus.approx_bytes if corpus else None, at_hand=False)
    documents = open_corpus(name_or_path, cache_dir, report, check)
    text = ""
    for piece in documents.pieces():
        text += piece.text + ("\n\n" if piece.ends_document else "")
        if len(text) >= num_chars:
            break
    num_documents = None
    if documents.num_bytes is not None and documents.num_bytes <= COUNT_BYTES:
        num_documents = sum(piece.ends_document for piece in documents.pieces())
    return Preview(text[:num_chars], num_documents, documents.num_bytes, at_hand=True)


def _where(value: str) -> tuple[UrlSource | HubSource | None, str]:
    """The source of a download and the stem of its file; (None, "") for what is on this machine."""
    corpus = find_corpus(value)
    if corpus:
        return (_source(corpus), corpus.stem or corpus.name) if corpus.address else (None, "")
    source = parse_address(value)
    return (source, stem_of(value)) if source else (None, "")


def _source(corpus: Corpus) -> UrlSource | HubSource:
    source = parse_address(corpus.address, corpus.sha256)
    return replace(source, first=corpus.first) if isinstance(source, HubSource) else source


def _tiny_path() -> Path:
    return Path(__file__).with_name("tiny.txt")


def _tiny(name: str, cache_dir: Path, report: Report, check: Check) -> Documents:
    return open_path(_tiny_path(), name)


def _own_path(value: str, cache_dir: Path) -> Path:
    if is_upload(value):
        return find_upload(value, cache_dir)
    path = typed_path(value)
    try:
        if value.strip() and path.exists():
            list_files(path)
            return path
    except (OSError, ValueError):  # a name that no file can have: too long, or with a zero byte
        pass
    names = [corpus.name for corpus in CORPORA]
    close = difflib.get_close_matches(value.lower(), names, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    shown = value if len(value) <= 200 else value[:197] + "..."
    listed = ", ".join([*(name for name in names if not name.startswith("pg19_")), PG19_FORM])
    raise DataError(
        f"There is no corpus and no file or folder {shown!r}. {hint}Corpora are {listed}; a path to your own "
        f"text, an address (https://...) and {HUB_FORM} are accepted too."
    )
