"""Rows of examples from files: JSON, JSON lines, CSV, parquet and plain text, each row with where it stands."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_testing.config.foreign import (
    JSON,
    Format,
    json_excerpt,
    open_file,
    read_bytes,
    reading,
    reason_of,
    refuse_bomb,
)
from llm_testing.errors import DamagedFile, DataError

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet", ".txt", ".md")
ACCEPTED = f"Accepted are {', '.join(SUFFIXES)} files in UTF-8, and folders of them."
MAX_BYTES = 4 << 30
"""Largest file that is read; examples are held in memory."""
MAX_FIELD_CHARS = 1 << 26
ALWAYS_UNPACKED_BYTES = 1 << 30
"""Of any parquet file."""
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Row:
    """One row as it stands in a file: its fields, or why there are none.

    Args:
        where: for people, like "line 7 of data.jsonl".
    """

    where: str
    fields: dict[str, Any] | None
    problem: str = ""


def list_row_files(path: Path) -> list[Path]:
    """The file itself, or the files of rows under a folder, by name.

    Raises:
        DataError: nothing is there, or nothing of a kind that is read.
    """
    if os.path.isfile(path):
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path} is of a kind that is not read here. {ACCEPTED}")
        return [path]
    if not os.path.isdir(path):
        raise DataError(f"There is no file or folder {path}. {ACCEPTED}")
    inside = (file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
    hidden = [file for file in inside if not any(p.startswith(".") for p in file.relative_to(path).parts)]
    if not hidden:
        raise DataError(f"The folder {path} holds no file of rows. {ACCEPTED}")
    return sorted(hidden)


def read_rows(path: Path) -> Iterator[Row]:
    """Every row of a file or folder, in order.

    Raises:
        DataError: a file that is missing, too large, not UTF-8, or not of its kind as a whole.
    """
    for file in list_row_files(path):
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"{file} is larger than {MAX_BYTES >> 30} GiB. Split it and name a part.")
        yield from _READERS[file.suffix.lower()](file)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path} is not UTF-8 text: see near byte {error.start}. Save it as UTF-8.") from error


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number} of {path.name}"
        try:
            value = json.loads(line)
        except JSON.errors as error:
            yield Row(where, None, f"is not JSON ({reason_of(error)})")
            continue
        yield _object(where, value, line)


def _json(path: Path) -> Iterator[Row]:
    text = _text(path)
    decoder, at, line, counted = json.JSONDecoder(), 0, 1, 0
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise DataError(f"{path} is not a list of rows: it begins with {text[at : at + 20]!r} instead of [.")
    at = _skip(text, at + 1)
    while at < len(text) and text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        begin = at
        try:
            value, at = decoder.raw_decode(text, at)
        except JSON.errors as error:
            reason = reason_of(error)
            raise DamagedFile(f"{path.name} is not JSON in the row that begins at line {line}: {reason}.") from error
        yield _object(f"line {line} of {path.name}", value, text[begin:at])
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            line += text.count("\n", counted, at)
            raise DamagedFile(f"{path.name} is not JSON: after the row before line {line} a comma or ] is missing.")
    if at >= len(text):
        raise DamagedFile(f"{path.name} is not whole: the ] that ends its list of rows is missing.")
    after = _skip(text, at + 1)
    if after < len(text):
        line += text.count("\n", counted, after)
        raise DamagedFile(f"{path.name} goes on after the end of its list of rows, in line {line}. Make it one list.")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _object(where: str, value: Any, source: str) -> Row:
    if not isinstance(value, dict):
        return Row(where, None, f"is no set of fields but {json_excerpt(value)}")
    # A look at the source first, since few rows have such an escape, and those mostly a whole pair.
    if _HALF_PAIR.search(source) and not _is_text(json.dumps(value, ensure_ascii=False)):
        return Row(where, None, "holds half of a surrogate pair, which is no character")
    return Row(where, value)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD_CHARS)
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        for fields in reader:
            where = f"line {reader.line_num} of {path.name}"
            if None in fields:
                yield Row(where, None, f"has more fields than the {len(reader.fieldnames or ())} columns")
            else:
                yield Row(where, {name: value or "" for name, value in fields.items()})
    except csv.Error as error:
        raise DamagedFile(f"{path.name} is not CSV near line {reader.line_num}: {reason_of(error)}.") from error


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow  # noqa: PLC0415  (comes with datasets, and few read parquet)
    import pyarrow.parquet  # noqa: PLC0415

    # Text that is no UTF-8 is a ValueError, a date that Python does not know an OverflowError.
    errors = (pyarrow.ArrowException, OSError, ValueError, OverflowError)
    form = Format(errors, "Write or download it again.", "a parquet file that can be read")
    number = 0
    with open_file(path) as raw, reading(path.name, form), pyarrow.parquet.ParquetFile(raw) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        size = os.fstat(raw.fileno()).st_size
        refuse_bomb(path.name, size, sum(group.total_byte_size for group in groups), ALWAYS_UNPACKED_BYTES)
        for batch in file.iter_batches(1024):
            for fields in batch.to_pylist():
                number += 1
                yield Row(f"row {number} of {path.name}", fields)


def _document(path: Path) -> Iterator[Row]:
    text = _text(path)
    if "\0" in text:
        raise DataError(f"{path} is binary, not text. {ACCEPTED}")
    yield Row(path.name, {"text": text.replace("\r\n", "\n")})


_READERS = {
    ".json": _json, ".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet, ".txt": _document, ".md": _document,
}  # fmt: skip
