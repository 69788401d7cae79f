"""Zips from outside: opened without believing what they say of themselves, and unpacked a block at a time."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_testing.config.foreign import Format, Refusal, open_file, printable, reading
from llm_testing.errors import DamagedFile

ZIP = Format(
    # RuntimeError for a password, struct.error for a cut header, ValueError and OverflowError for places that no file
    # has; NotImplementedError is a RuntimeError, and what is no UTF-8 a ValueError.
    (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error, ValueError, OverflowError, OSError),
    "Give one that Download all wrote.",
    "a zip that can be read",
)
BLOCK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENTRY = b"PK\1\2"
_ENTRY_BYTES = 46 + 512
"""Of an entry in the directory: its fixed part, and room for a name and what else belongs to it."""


class _Bounded(io.BufferedReader):
    """The file under a zip, which refuses a directory of too many entries before there is an object for each."""

    def __init__(self, raw: io.RawIOBase, most_entries: int):
        super().__init__(raw)
        self._most_entries = most_entries

    def read(self, size: int | None = -1) -> bytes:
        too_long = size is not None and size > max(BLOCK_BYTES, self._most_entries * _ENTRY_BYTES)
        data = b"" if too_long else super().read(size)
        if too_long or data.count(_ENTRY) > self._most_entries:
            raise zipfile.BadZipFile(f"it holds more than {self._most_entries:,} files")
        return data


@contextmanager
def open_zip(
    path: Path, name: str, most_entries: int, form: Format = ZIP, refusal: Refusal = DamagedFile
) -> Iterator[zipfile.ZipFile]:
    """A zip whose directory has been read.

    Args:
        name: what its owner calls it.
        form: of a file that is a zip inside.

    Raises:
        DamagedFile, or the kind that is given: it is none, or holds more than `most_entries`.
    """
    with _Bounded(open_file(path, name, refusal).detach(), most_entries) as file:
        with reading(name, form, refusal):
            archive = zipfile.ZipFile(file)
        with archive:
            yield archive


def unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """What is in an entry, in blocks.

    Raises:
        DamagedFile: it cannot be unpacked whole.
    """
    called = printable(entry.filename)
    if entry.compress_type not in _METHODS:
        # Python unpacks the others without a bound: a kilobyte of bzip2 may become a gigabyte in one step.
        method = zipfile.compressor_names.get(entry.compress_type, f"method {entry.compress_type}")
        raise DamagedFile(f"{called} is packed by {method}, which is not read here. Make the zip with deflate.")
    num_bytes = 0
    with reading(called, ZIP), archive.open(entry) as packed:
        while block := packed.read(BLOCK_BYTES):
            num_bytes += len(block)
            yield block
    if num_bytes != entry.file_size:
        raise DamagedFile(f"{called} is {num_bytes:,} bytes long, not {entry.file_size:,}. {ZIP.remedy}")
