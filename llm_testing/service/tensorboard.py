"""Curves, sample texts and settings of a run as a TensorBoard event file, written without tensorboard.

A file is a row of records, each a length, its check sum, the data and its check sum (TFRecord); the data is a protocol
buffer of the type Event, of which a few fields are written here.

Sources: tensorflow/core/lib/io/record_writer.h (records and the masked CRC-32C), core/util/event.proto,
core/framework/summary.proto and tensor.proto of TensorFlow; RFC 3720, appendix B.4 (CRC-32C).
"""

import struct
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from llm_testing.service.markdown import markdown_block, markdown_text

SCALARS = {
    "loss/train": "train_loss",
    "loss/validation": "val_loss",
    "loss/validation_whole_split": "final_val_loss",
    "bits_per_byte/validation": "val_bits_per_byte",
    "learning_rate": "lr",
    "gradient_norm": "grad_norm",
    "tokens_per_s": "tokens_per_s",
    "peak_bytes": "peak_bytes",
    "tokens_seen": "tokens_seen",
}
"""The tags, and the columns of metrics.jsonl that they show."""
_POLYNOMIAL = 0x82F63B78
_DT_STRING = 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Row = dict[str, Any]


def event_file(
    record: dict, rows: Iterable[Row], samples: Iterable[Row], damaged: str | None = None
) -> Iterator[bytes]:
    """The bytes of an event file, in pieces.

    Args:
        record: the run's; its start is the first event's wall time, to which the rows add their elapsed seconds.
        rows, samples: of metrics.jsonl and samples.jsonl.
        damaged: what is wrong with the run's files; a text beside the settings says it.
    """
    begun = _seconds(record["started_at"] or record["created_at"])
    yield _framed(_double(1, begun) + _bytes(3, b"brain.Event:2"))
    config = record["config"].items()
    settings = "\n".join(f"|{markdown_text(name)}|{markdown_text(value)}|" for name, value in config)
    yield _framed(_event(begun, 0, [_text_value("settings", f"|option|value|\n|-|-|\n{settings}")]))
    if damaged:
        yield _framed(_event(begun, 0, [_text_value("damaged", damaged)]))
    elapsed = {0: 0.0}
    for row in rows:
        step = row["step"]
        elapsed[step] = row.get("elapsed_s") or 0.0
        values = [_scalar(tag, row[column]) for tag, column in SCALARS.items() if row.get(column) is not None]
        if values:
            yield _framed(_event(begun + elapsed[step], step, values))
    for sample in samples:
        step, written = sample.get("step") or 0, (sample.get("prompt", ""), sample.get("text", ""))
        text = "\n\n".join(markdown_block(str(part)) for part in written)
        yield _framed(_event(begun + elapsed.get(step, 0.0), step, [_text_value("samples", text)]))


def masked_crc(data: bytes) -> int:
    """The check sum of a record: CRC-32C, turned and shifted so that sums of sums do not coincide."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


_TABLE = _table()


def _framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def _event(wall_time: float, step: int, values: list[bytes]) -> bytes:
    """Event: wall_time = 1, step = 2, summary = 5; Summary: value = 1."""
    summary = b"".join(_bytes(1, value) for value in values)
    return _double(1, wall_time) + _key(2, _VARINT) + _varint(step) + _bytes(5, summary)


def _scalar(tag: str, number: float) -> bytes:
    """Summary.Value: tag = 1, simple_value = 2, which is a 32-bit float."""
    return _bytes(1, tag.encode()) + _key(2, _FIXED32) + struct.pack("<f", number)


def _text_value(tag: str, text: str) -> bytes:
    """Summary.Value of the plugin text: tag = 1, tensor = 8, metadata = 9."""
    # TensorProto: dtype = 1, string_val = 8; without a shape it is a scalar.
    tensor = _key(1, _VARINT) + _varint(_DT_STRING) + _bytes(2, b"") + _bytes(8, text.encode("utf-8", "replace"))
    metadata = _bytes(1, _bytes(1, b"text"))  # SummaryMetadata: plugin_data = 1, its plugin_name = 1
    return _bytes(1, tag.encode()) + _bytes(8, tensor) + _bytes(9, metadata)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(data)) + data


def _double(field: int, number: float) -> bytes:
    return _key(field, _FIXED64) + struct.pack("<d", number)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _seconds(stamp: str | None) -> float:
    try:
        return datetime.fromisoformat(stamp or "").timestamp()
    except ValueError:
        return 0.0
