"""The lines of a journal: how a record becomes one, when one can be trusted, and how to find them from either end."""

import math
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from llm_testing.store.strict_json import json_bytes, parse_any_numbers

MAX_LINE_BYTES = 4 * 2**20
TAIL_BYTES = 64 * 2**10
_MOST_N = 10**15
LEADING_N = re.compile(rb'\{"n":([0-9]{1,15})[,}]')
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
    """The record of a whole line, or None if its checksum or its form is wrong. Its values may be of any type."""
    if line[:5] != b'{"n":' or line[-_CRC_BYTES : 8 - _CRC_BYTES] != b',"crc":"' or line[-2:] != b'"}':
        return None
    body = line[:-_CRC_BYTES] + b"}"
    if line[-10:-2] != b"%08x" % zlib.crc32(body):
        return None
    try:
        record = orjson.loads(body)  # an object, as its first byte says
    except orjson.JSONDecodeError:
        try:
            record = parse_any_numbers(body)
        except ValueError:
            return None
    number = record["n"]
    return record if type(number) is int and 0 <= number < _MOST_N else None


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines that end in a newline, without it. The pieces of one that is too long come as lines: bad ones."""
    while line := file.readline(MAX_LINE_BYTES):
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) == MAX_LINE_BYTES:
            yield line


def end_of_lines(file: BinaryIO, size: int, most: float = math.inf) -> int:
    """The offset behind the last newline; 0 where there is none in the last `most` bytes."""
    least = size - most
    while size > max(0, least):
        start = max(0, size - TAIL_BYTES)
        file.seek(start)
        if (at := file.read(size - start).rfind(b"\n")) >= 0:
            return start + at + 1
        size = start
    return 0


def lines_back(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The lines before end, last first, reading only as far back as the caller goes."""
    rest = b""
    while end > 0:
        start = max(0, end - max(TAIL_BYTES, len(rest)))
        file.seek(start)
        first, *lines = (file.read(end - start) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if line)
        # A line beyond all measure is bad whatever it says; a NUL keeps it so without keeping it in memory.
        rest = first if len(first) <= MAX_LINE_BYTES else b"\0"
        end = start
    if rest:
        yield rest
