"""Where a corpus comes from: reads a name, path or address into a source, and brings downloads to disk once."""

import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from llm_testing.data.textfiles import SUFFIXES
from llm_testing.errors import DamagedRun, DataError, DownloadError
from llm_testing.hub.datasets import fetch_text_dataset
from llm_testing.hub.download import download_file
from llm_testing.jobs.progress import Check, Report
from llm_testing.store.files import need_folder, read_json, write_json

AT_HAND = "At hand without a network are the corpora python-docs, python-stdlib and tiny, and your own files."
HUB_FORM = "hf:owner/name[/config][@split][#column]"
_HUB = re.compile(r"hf:(\w[\w.-]*/\w[\w.-]*)(?:/([^@#]+))?(?:@([^#]+))?(?:#(.+))?")


@dataclass(frozen=True)
class UrlSource:
    """One text file on the web."""

    url: str
    sha256: str | None = None

    def file_name(self, stem: str) -> str:
        """Named so that the kind of content can still be seen: text where the address does not say."""
        path = Path(urlsplit(self.url).path.lower())
        gz = ".gz" if path.suffix == ".gz" else ""
        inner = Path(path.stem).suffix if gz else path.suffix
        return stem + (inner if inner in SUFFIXES else ".txt") + gz


@dataclass(frozen=True)
class HubSource:
    """One column of one split of a text dataset on the Hub; with `first` only so many of its rows."""

    repo: str
    config: str | None = None
    split: str = "train"
    column: str = "text"
    first: int | None = None

    def file_name(self, stem: str) -> str:
        return stem + ".jsonl"


def parse_address(value: str, sha256: str | None = None) -> UrlSource | HubSource | None:
    """The source of an address; None for anything else (a name or a path).

    Raises:
        DataError: it begins like the address of a Hub dataset but is none.
    """
    if value.lower().startswith(("http://", "https://")):
        return UrlSource(value, sha256)
    if not value.startswith("hf:"):
        return None
    found = _HUB.fullmatch(value)
    if not found:
        raise DataError(
            f"{value!r} does not name a Hub dataset. The form is {HUB_FORM}: hf:roneneldan/TinyStories@train"
        )
    repo, config, split, column = found.groups()
    return HubSource(repo, config, split or "train", column or "text")


def stem_of(value: str) -> str:
    """A file name for an address: two addresses never share one."""
    return "address-" + hashlib.sha256(value.encode()).hexdigest()[:16]


def downloaded(source: UrlSource | HubSource, stem: str, cache_dir: Path) -> Path | None:
    """The file that an earlier download left, if it is whole."""
    path = _folder(cache_dir) / source.file_name(stem)
    try:
        record = read_json(_record(path))
        return path if path.stat().st_size == record.get("bytes") else None
    except (DamagedRun, OSError):
        return None


def bring(source: UrlSource | HubSource, stem: str, name: str, cache_dir: Path, report: Report, check: Check) -> Path:
    """The file of a source, downloaded where it is not at hand, with a small record beside it.

    Raises:
        DownloadError: it cannot be had; names what is at hand instead.
    """
    path = downloaded(source, stem, cache_dir)
    if path:
        return path
    path = _folder(cache_dir) / source.file_name(stem)
    need_folder(path.parent)
    try:
        record = _fetch(source, path, name, report, check)
    except DownloadError as error:
        raise DownloadError(f"{error} {AT_HAND}") from error
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_json(_record(path), {"schema": 1, "name": name, **record, "time": now})
    return path


def _fetch(source: UrlSource | HubSource, path: Path, name: str, report: Report, check: Check) -> dict:
    if isinstance(source, HubSource):
        rows = fetch_text_dataset(
            source.repo, source.config, source.split, source.column, path, report, check, first=source.first
        )
        return {"url": rows.url, "sha256": rows.sha256, "bytes": rows.num_bytes, "rows": rows.num_rows}
    got = download_file(source.url, path, report, check, sha256=source.sha256, name=name)
    if got.content_type == "text/html":
        path.unlink()
        raise DownloadError(
            f"{source.url} is a web page, not a text file. Give the address of the file itself (on GitHub: Raw)."
        )
    return {"url": got.url, "sha256": got.sha256, "bytes": got.num_bytes}


def _folder(cache_dir: Path) -> Path:
    return cache_dir / "downloads"


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")
