"""A text dataset of the Hugging Face Hub as one JSON lines file; no code of the dataset is ever run.

Rows are streamed, so nothing is on disk twice, and a stop is heard also while none comes. The commit is pinned and the
place is noted now and then, so that a stopped download goes on where it was.
"""

import csv
import hashlib
import json
import lzma
import os
import tarfile
import time
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx

from llm_testing.config.foreign import names_in_words, printable
from llm_testing.errors import DamagedRun, DataError, DownloadError
from llm_testing.hub.pace import Pace
from llm_testing.jobs.progress import Check, Report, never_cancel
from llm_testing.jobs.threads import answered, pulled
from llm_testing.store.files import read_json, refusal_named, write_json

Item = TypeVar("Item")
PROBE_S = 2.0
NOTE_EVERY_S = 5.0
BATCH_ROWS = 100
BATCH_S = 0.1


@dataclass(frozen=True)
class Rows:
    """What came; url names the commit."""

    url: str
    sha256: str
    num_bytes: int
    num_rows: int


def fetch_text_dataset(
    repo: str,
    config: str | None,
    split: str,
    column: str | None,
    to: Path,
    report: Report,
    check: Check,
    first: int | None = None,
) -> Rows:
    """Write one column of a split as lines {"text": ...} into the file `to`; rows without text are left out.

    With no column every row is written whole, as a line of its fields.

    Args:
        repo: owner/name.
        config: None for the only or default one.
        to: replaced in one step once everything is there.
        first: take only so many rows; None takes all.

    Raises:
        DownloadError: the Hub is not reachable, has no such dataset, configuration or split, or wants terms accepted.
        DataError: there is no such column, or it holds no text.
        NotEnoughDisk, Cancelled.
    """
    name = f"{repo}@{split}"
    check()
    endpoint = require_hub(name, check)
    commit = answered(lambda: _commit(repo), check)
    rows, total = answered(lambda: _open(repo, config, split, commit), check)
    total = total if first is None else min(first, total or first)
    place = _Place(to, [endpoint, repo, config, split, column, commit, first])
    with refusal_named(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        place.go_back(rows)
        pace = Pace(report, check, f"downloading {name}", total, "documents")
        pace.add(place.num_rows)
        with place.part.open("ab") as file:
            _copy(rows, column, name, file, place, pace, first, check)
            file.flush()
            os.fsync(file.fileno())
        pace.finish()
        with place.part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.replace(place.part, to)
        place.forget()
    return Rows(f"hf:{repo}@{commit}", digest, to.stat().st_size, pace.done)


def require_hub(name: str, check: Check = never_cancel) -> str:
    """The address of the Hub, after a quick look whether it answers: its own client tries for 23 seconds.

    Raises:
        DownloadError: it does not answer, or HF_HUB_OFFLINE forbids to ask.
    """
    # Reads HF_ENDPOINT and HF_HUB_OFFLINE when it is imported.
    from huggingface_hub import constants  # noqa: PLC0415

    if constants.HF_HUB_OFFLINE:
        raise DownloadError(f"{name} cannot be downloaded while HF_HUB_OFFLINE is set. Unset it to use the Hub.")
    try:
        answered(lambda: httpx.head(constants.ENDPOINT, timeout=PROBE_S), check)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"The Hub at {constants.ENDPOINT} could not be reached for {name} ({error or type(error).__name__})."
        ) from error
    return constants.ENDPOINT


def _commit(repo: str) -> str:
    from huggingface_hub import HfApi, errors  # noqa: PLC0415  (reads its environment when it is imported)

    try:
        return HfApi().dataset_info(repo, timeout=15).sha
    except errors.GatedRepoError as error:
        raise DownloadError(_gated(repo)) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"There is no dataset {repo} on the Hub, or it is private. Check owner and name; for a private one set "
            "HF_TOKEN."
        ) from error
    except errors.HFValidationError as error:
        raise DownloadError(f"{repo!r} cannot be the name of a Hub dataset. The form is owner/name.") from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise DownloadError(f"The Hub did not answer for {repo}: {_first_line(error)}.") from error


def _open(repo: str, config: str | None, split: str, commit: str) -> tuple[Iterable[dict], int | None]:
    """The rows of a split, and how many there are where the dataset says so."""
    import datasets  # noqa: PLC0415  (2 s to import)
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        rows = datasets.load_dataset(repo, config, split=split, revision=commit, streaming=True)
    except (errors.GatedRepoError, datasets.exceptions.DatasetNotFoundError) as error:
        raise DownloadError(_gated(repo)) from error
    except _damage() as error:
        # No such configuration or split (the text lists those there are), no data files, or a dataset that is a script.
        raise DownloadError(f"The dataset {repo} cannot be read: {_first_line(error)}") from error
    known = (rows.info.splits or {}).get(split)
    return rows, (known.num_examples or None) if known else None


def _copy(
    rows: Any,
    column: str | None,
    name: str,
    file: BinaryIO,
    place: "_Place",
    pace: Pace,
    first: int | None,
    check: Check,
) -> None:
    wanted = rows if first is None else islice(rows, max(0, first - pace.done))
    with closing(pulled(lambda: _batches(rows, wanted), check)) as batches:
        for batch, state in _each(batches, name, pace):
            for row in batch:
                line = row if column is None else {"text": _text_of(row, column, name)}
                if column is None or line["text"].strip():
                    # What JSON has no form for, like a time, stands in words.
                    file.write(json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")
                pace.add(1)
            place.note(state, pace.done, file)
    if pace.done == 0:
        raise DataError(f"{name} has no rows.")


def _batches(rows: Any, wanted: Iterable[dict]) -> Generator[tuple[list[dict], dict], None, None]:
    """The rows as they come, a few at a time, each time with the dataset's own mark of the place after them."""
    batch: list[dict] = []
    began_s = time.monotonic()
    for row in wanted:
        batch.append(row)
        if len(batch) >= BATCH_ROWS or time.monotonic() - began_s >= BATCH_S:
            yield batch, rows.state_dict()
            batch, began_s = [], time.monotonic()
    yield batch, rows.state_dict()


def _each(items: Iterable[Item], name: str, pace: Pace) -> Iterator[Item]:
    """What is read of the rows; whatever reading raises is one refusal, and what is done with a row is not in it."""
    left, errors = iter(items), _damage()
    while True:
        try:
            item = next(left)
        except StopIteration:
            return
        except errors as error:
            raise DownloadError(
                f"The download of {name} broke off after {pace.done:,} rows: {_first_line(error)}. Start it again to "
                "go on; a dataset that breaks off there once more is damaged."
            ) from error
        yield item


def _damage() -> tuple[type[Exception], ...]:
    """What datasets raises for files that are damaged or do not come: of the Hub, of archives and of each format."""
    import datasets  # noqa: PLC0415  (2 s to import)
    import pyarrow  # noqa: PLC0415

    return (
        OSError, httpx.HTTPError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, csv.Error,
        pyarrow.ArrowException, datasets.exceptions.DatasetsError, ValueError, RuntimeError, KeyError, TypeError,
        AttributeError, IndexError, OverflowError, ImportError,
    )  # fmt: skip


def _text_of(row: dict, column: str, name: str) -> str:
    if column not in row:
        raise DataError(f"{name} has no column {column!r}; its columns are {names_in_words(map(repr, row))}.")
    text = row[column]
    if text is not None and not isinstance(text, str):
        raise DataError(f"Column {column!r} of {name} holds {type(text).__name__}, not text. Choose a column of text.")
    return text or ""


class _Place:
    """How far a download has come: bytes of the part, rows, and the dataset's own mark of the place."""

    def __init__(self, to: Path, identity: list):
        self.part = to.with_name(to.name + ".part")
        self.num_rows = 0
        self._note = to.with_name(to.name + ".part.json")
        self._identity = identity
        self._noted_s = time.monotonic()

    def go_back(self, rows: object) -> None:
        """Continue at the noted place of the same commit, or begin."""
        num_bytes = 0
        with suppress(DamagedRun, KeyError, TypeError, OSError):
            note = read_json(self._note)
            if note["identity"] == self._identity and self.part.stat().st_size >= note["bytes"]:
                rows.load_state_dict(note["state"])
                num_bytes, self.num_rows = note["bytes"], note["rows"]
        with self.part.open("ab") as file:
            file.truncate(num_bytes)

    def note(self, state: dict, num_rows: int, file: BinaryIO) -> None:
        if time.monotonic() - self._noted_s < NOTE_EVERY_S:
            return
        self._noted_s = time.monotonic()
        file.flush()
        write_json(self._note, {"identity": self._identity, "bytes": file.tell(), "rows": num_rows, "state": state})

    def forget(self) -> None:
        self._note.unlink(missing_ok=True)


def _gated(repo: str) -> str:
    return (
        f"The dataset {repo} asks to accept its terms or to log in. Accept them on its page of the Hub and set "
        "HF_TOKEN to a token that may read it."
    )


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().partition("\n")[0].rstrip("."), 300) or type(error).__name__
