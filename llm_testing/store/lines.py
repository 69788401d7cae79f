"""The lines of a journal: how a record becomes one, when one can be trusted, and how to find them from either end."""

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from llm_testing.store.strict_json import json_bytes, parse_json

MAX_LINE_BYTES = 4 * 2**20
_TAIL_BYTES = 64 * 2**10
LEADING_N = re.compile(rb'\{"n":([0-9]{1,15})[,}]')
_TRAILING_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_CRC_BYTES = len(b',"crc":"00000000"}')


def is_rewind(record: dict) -> bool:
    """Whether a record takes back the rows beyond its "to_step"."""
    to_step = record.get("to_step")
    return record.get("event") == "rewind" and isinstance(to_step, int) and not isinstance(to_step, bool)


def is_beyond(row: dict, step: float) -> bool:
    return isinstance(row.get("step"), int | float) and row["step"] > step


def line_of(record: dict) -> bytes:
    body = json_bytes(record)
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def good_record(line: bytes) -> dict | None:
    """The record of a whole line, or None if its checksum or its form is wrong."""
    tail = _TRAILING_CRC.fullmatch(line[-_CRC_BYTES:])
    if tail is None or not LEADING_N.match(line):
        return None
    body = line[:-_CRC_BYTES] + b"}"
    if zlib.crc32(body) != int(tail[1], 16):
        return None
    try:
        record = parse_json(body)
    except ValueError:
        return None
    return record if isinstance(record.get("n"), int) else None


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines that end in a newline, without it. The pieces of one that is too long come as lines: bad ones."""
    while line := file.readline(MAX_LINE_BYTES):
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) == MAX_LINE_BYTES:
            yield line


def end_of_lines(file: BinaryIO, size: int) -> int:
    """The offset behind the last newline."""
    while size > 0:
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        if (at := file.read(size - start).rfind(b"\n")) >= 0:
            return start + at + 1
        size = start
    return 0


def lines_back(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The lines before end, last first, reading only as far back as the caller goes."""
    rest = b""
    while end > 0:
        start = max(0, end - max(_TAIL_BYTES, len(rest)))
        file.seek(start)
        first, *lines = (file.read(end - start) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if line)
        # A line beyond all measure is bad whatever it says; a NUL keeps it so without keeping it in memory.
        rest = first if len(first) <= MAX_LINE_BYTES else b"\0"
        end = start
    if rest:
        yield rest
