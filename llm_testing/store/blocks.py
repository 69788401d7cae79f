"""A block of a journal's lines as numbers, all at once: ten times as fast as line by line, where every line is plain."""

import zlib

import numpy as np

WORTH_BYTES = 2**18
"""Smaller blocks are read line by line: pyarrow takes longer to import."""
_CRC_BYTES = len(b',"crc":"00000000"}')
_SPECIAL = (b'"event"', b"NaN", b"Infinity")


def table_of(block: bytes, names: tuple[str, ...]) -> np.ndarray | None:
    """(rows, len(names)) float64 of whole lines, NaN where a row has no number; "n" is among the names.

    None where a line needs a closer look: it is damaged, an event, or holds a value of another kind.
    """
    import pyarrow  # noqa: PLC0415  (0.1 s, and short journals do without)
    import pyarrow.json  # noqa: PLC0415

    lines = block.split(b"\n")
    if lines.pop() or any(word in block for word in _SPECIAL) or not _are_whole(lines):
        return None
    schema = pyarrow.schema([(name, pyarrow.float64()) for name in names])
    parse = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        table = pyarrow.json.read_json(pyarrow.BufferReader(block), parse_options=parse)
    except (pyarrow.ArrowException, ValueError):
        return None
    if table.num_rows != len(lines):
        return None
    found = np.stack([table.column(name).to_numpy() for name in names], axis=1)
    numbers = found[:, names.index("n")]
    return found if (numbers == np.floor(numbers)).all() else None


def _are_whole(lines: list[bytes]) -> bool:
    """Whether every line has its number in front and its own checksum behind."""
    crc32 = zlib.crc32
    try:
        return all(
            line[-_CRC_BYTES : 8 - _CRC_BYTES] == b',"crc":"'
            and line[:5] == b'{"n":'
            and crc32(b"}", crc32(line[:-_CRC_BYTES])) == int(line[-10:-2], 16)
            for line in lines
        )
    except ValueError:
        return False
