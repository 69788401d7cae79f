"""The user's own files and downloaded ones as documents: text, Markdown, JSON lines, each also gzipped.

Text is UTF-8. A byte order mark is dropped, and "\\r\\n" and a lone "\\r" become "\\n", so that the same text gives the
same tokens on every system. The text inside JSON lines is taken as it is. Nothing is ever decompressed or read whole.
"""

import codecs
import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from llm_testing.config.foreign import PLAIN, Format, json_excerpt, names_in_words, open_file, reading, refuse_bomb
from llm_testing.data.documents import Documents, Piece
from llm_testing.errors import DataError

BLOCK_BYTES = 1 << 20
LINE_BYTES = 64 << 20
"""Longest line of a JSON lines file; one line has to be held in memory."""

ALWAYS_UNPACKED_BYTES = 1 << 30
"""Of any gzip file; text beyond it packs a few times, not a hundred."""
GZIP = Format((EOFError, zlib.error, OSError), "Compress or download it again.", "a whole gzip file")

SUFFIXES = (".txt", ".md", ".jsonl")
ACCEPTED = "Accepted are .txt, .md and .jsonl files in UTF-8, each also as .gz, and folders of them."
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def open_path(path: Path, name: str, column: str = "text") -> Documents:
    """Documents of a file, or of all text files under a folder in the order of their names.

    Raises:
        DataError: the path is missing, is no regular file, or the folder holds no text file.
    """
    files = list_files(path)
    packed = any(file.suffix.lower() == ".gz" for file in files)  # then the size of the text is not known
    return Documents(
        name,
        read=lambda: (piece for file in files for piece in read_file(file, column)),
        num_bytes=None if packed else sum(file.stat().st_size for file in files),
    )


def list_files(path: Path) -> list[Path]:
    """The file itself, or the text files under a folder; what is hidden or no regular file is passed over."""
    mode = _mode(path)
    if stat.S_ISREG(mode):
        return [path]
    if not stat.S_ISDIR(mode):
        raise DataError(f"{path} is neither a regular file nor a folder (it may be a pipe or a device). {ACCEPTED}")
    found = []
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and _plain_suffix(file) in SUFFIXES and file.is_file():
                found.append(file)
    if not found:
        raise DataError(f"The folder {path} holds no text file. {ACCEPTED}")
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def read_file(path: Path, column: str = "text") -> Iterator[Piece]:
    """One file as blocks of its documents: one for a text file, one a row for JSON lines.

    Raises:
        DataError: the file is empty, binary, in another encoding or damaged; names the file, and the line of a row.
    """
    packed = path.suffix.lower() == ".gz"
    empty = True
    with reading(path, GZIP if packed else PLAIN), open_file(path) as raw:
        num_bytes = os.fstat(raw.fileno()).st_size
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        blocks = _read_rows(path, file, column) if _plain_suffix(path) == ".jsonl" else _read_text(path, file)
        for block in blocks:
            empty = False
            if packed:
                refuse_bomb(path, num_bytes, file.tell(), ALWAYS_UNPACKED_BYTES)
            yield block
    if empty:
        raise DataError(f"{path} holds no text. Remove it or put text into it.")


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError) as error:
        raise DataError(f"There is no file or folder {path}. {ACCEPTED}") from error


def _plain_suffix(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _read_text(path: Path, file: BinaryIO) -> Iterator[Piece]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    position = 0
    seen = False
    while True:
        data = file.read(BLOCK_BYTES)
        if position == 0:
            _refuse_encodings(path, data)
        if b"\0" in data:
            offset = position + data.index(b"\0")
            raise DataError(f"{path} is binary, not text: byte {offset} is zero. {ACCEPTED}")
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(path, f"near byte {position + error.start}")) from error
        position += len(data)
        seen = seen or bool(text.strip())
        if data:
            yield Piece(text, False)
        else:
            if not seen:
                raise DataError(f"{path} holds no text. Remove it or put text into it.")
            yield Piece(text, True)
            return


def _read_rows(path: Path, file: BinaryIO, column: str) -> Iterator[Piece]:
    number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        if number == 1:
            _refuse_encodings(path, line)
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > LINE_BYTES:
            raise DataError(f"Line {number} of {path} is longer than {LINE_BYTES >> 20} MiB. Split it into more rows.")
        if line.isspace():
            continue
        text = _row_text(path, number, line, column)
        if text.strip():  # an empty row holds nothing to learn; many published sets have some
            yield Piece(text, True)


def _row_text(path: Path, number: int, line: bytes, column: str) -> str:
    where = f"Line {number} of {path}"
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path, f"in line {number}")) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where} is not JSON ({error}). Each line holds one object with a field {column!r}."
        ) from error
    if not isinstance(row, dict):
        raise DataError(
            f"{where} is not an object but {json_excerpt(row)}. Each line holds one, with a field {column!r}."
        )
    if column not in row:
        fields = names_in_words(map(repr, row))
        raise DataError(f"{where} has no field {column!r}; its fields are: {fields}. Rename the one with the text.")
    text = row[column]
    if not isinstance(text, str):
        raise DataError(f"{where} has a field {column!r} that is not text but {json_excerpt(text)}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where} holds half of a surrogate pair, which is no character. Repair that row.") from error
    return text


def _refuse_encodings(path: Path, data: bytes) -> None:
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise DataError(f"{path} is {encoding}, not UTF-8. Save it as UTF-8 and try again.")


def _not_utf8(path: Path, where: str) -> str:
    return f"{path} is not UTF-8 text: {where} is a byte that UTF-8 does not allow. Save it as UTF-8 and try again."
