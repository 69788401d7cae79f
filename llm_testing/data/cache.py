"""Token files and trained tokenizers that were made before: whole and unchanged, or made again.

An entry is a folder that is filled under another name and renamed into place, its manifest written last. The manifest
holds the sha256 of every file, which is checked before an entry is used: a run never trains on tokens that rotted.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from llm_testing.data.tokenfile import Counts, TokenFile
from llm_testing.data.tokenizers import Tokenizer, unpacked
from llm_testing.errors import DamagedRun, DataError
from llm_testing.hub.pace import Pace
from llm_testing.jobs.progress import Check, Report, never_cancel, report_nothing
from llm_testing.store.files import Written, make_folder, need_folder, read_json, replace_path, sync_folder, write_json

MANIFEST = "manifest.json"
SCHEMA = 1
_STAGING = ".staging-"
_FORGOTTEN_S = 24 * 3600
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """The two token files of a fingerprint and how many unknown characters each has."""

    train: TokenFile
    val: TokenFile
    num_unknown_train: int
    num_unknown_val: int


def find(folder: Path, report: Report, check: Check) -> Entry | None:
    """The entry in folder; None where there is none or it is damaged."""
    try:
        manifest = read_json(folder / MANIFEST)
        if manifest["schema"] != SCHEMA:
            return None
        files = {name: Written(**facts) for name, facts in manifest["files"].items()}
        if any((folder / name).stat().st_size != file.bytes for name, file in files.items()):
            return None
        pace = Pace(report, check, "checking the token files", sum(file.bytes for file in files.values()), "bytes")
        if any(_digest(folder / name, pace) != file.sha256 for name, file in files.items()):
            return None
        pace.finish()
        return _entry(folder, manifest["vocab_size"], {name: Counts(**manifest[name]) for name in ("train", "val")})
    except (DamagedRun, OSError, KeyError, TypeError, AttributeError):
        return None


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder to fill before publish; removed again if the work does not come to that."""
    need_folder(folder.parent)
    _sweep(folder.parent)
    staging = folder.with_name(f"{_STAGING}{uuid4().hex[:12]}")
    make_folder(staging)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(
    staging: Path, folder: Path, vocab_size: int, counts: dict[str, Counts], files: dict[str, Written]
) -> Entry:
    """Put a filled folder into place, instead of a damaged one if there is one."""
    parts = {name: asdict(part) for name, part in counts.items()}
    described = {name: asdict(file) for name, file in files.items()}
    write_json(staging / MANIFEST, {"schema": SCHEMA, "vocab_size": vocab_size, **parts, "files": described})
    try:
        os.rename(staging, folder)
    except OSError:  # there is one: damaged, or whole and made by another process meanwhile
        made_meanwhile = find(folder, report_nothing, never_cancel)
        if made_meanwhile:
            return made_meanwhile
        aside = folder.with_name(f"{_STAGING}{uuid4().hex[:12]}")
        replace_path(folder, aside)
        replace_path(staging, folder)
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(folder.parent)
    return _entry(folder, vocab_size, counts)


def find_tokenizer(path: Path) -> tuple[Tokenizer, int | None] | None:
    """A tokenizer that was trained before and the bytes of text it saw."""
    try:
        kept = read_json(path)
        packed = kept["tokenizer"].encode()
        if hashlib.sha256(packed).hexdigest() != kept["sha256"]:
            return None
        return unpacked(json.loads(packed)), kept["trained_bytes"]
    except (DamagedRun, DataError, KeyError, AttributeError, ValueError):
        return None


def keep_tokenizer(path: Path, tokenizer: Tokenizer, trained_bytes: int | None) -> None:
    """Keep a trained tokenizer for find_tokenizer."""
    need_folder(path.parent)
    packed = tokenizer.to_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    write_json(path, {"schema": SCHEMA, "sha256": digest, "trained_bytes": trained_bytes, "tokenizer": packed.decode()})


def _entry(folder: Path, vocab_size: int, counts: dict[str, Counts]) -> Entry:
    def token_file(name: str) -> TokenFile:
        part = counts[name]
        return TokenFile(folder / f"{name}.tokens", part.num_tokens, part.num_bytes, part.num_documents, vocab_size)

    return Entry(token_file("train"), token_file("val"), counts["train"].num_unknown, counts["val"].num_unknown)


def _digest(path: Path, pace: Pace) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            pace.add(len(block))
    return digest.hexdigest()


def _sweep(parent: Path) -> None:
    """Remove what a process left that was killed; a younger folder may belong to one that is at work."""
    for left in parent.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _FORGOTTEN_S:
                shutil.rmtree(left, ignore_errors=True)
