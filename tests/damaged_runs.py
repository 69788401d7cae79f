"""Run folders with values that no run writes: copies of the example run, edited by hand, line sums and all."""

import json
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "runs" / "20261124-033430-taqx"
WRONG = {
    "text": '"abc"', "digits as text": '"2.5"', "list": "[1]", "object": '{"a": 1}', "yes": "true", "NaN": "NaN",
    "NaN as text": '"NaN"', "1e400": "1e400", "5,000 digits": "9" * 5000, "negative": "-7", "fraction": "2.5",
    "huge": "1e300", "null": "null", "deep": "[" * 90 + "]" * 90, "half a pair": '"\\ud800"',
    "megabyte": f'"{"x" * 2**20}"',
}  # fmt: skip
"""JSON texts of values, of which few fit any field."""


def new_run(runs_dir: Path, number: int, num_points: int = 12, **fields: Any) -> Path:
    """A small finished run; the folder, whose run.json has these fields."""
    folder = runs_dir / f"20270101-{number // 3600:02}{number // 60 % 60:02}{number % 60:02}-aaaa"
    folder.mkdir(parents=True)
    for name, most in (("metrics", num_points), ("samples", 4), ("events", 4)):
        lines = (EXAMPLE / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        (folder / f"{name}.jsonl").write_bytes(b"".join(lines[: most - 1] + lines[-1:]))
    shutil.copy(EXAMPLE / "run.json", folder)
    write_record(folder, {**record_of(folder), "run_id": folder.name, "tags": [], **fields})
    return folder


def record_of(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text("utf-8"))


def write_record(folder: Path, record: dict) -> None:
    (folder / "run.json").write_text(json.dumps(record), "utf-8")


def with_raw(value: dict, *path: str, raw: str) -> str:
    """JSON of an object in which the value at a path is this text, whether it is JSON or not."""
    name, *rest = path
    items = {key: json.dumps(item) for key, item in value.items()}
    items[name] = with_raw(value[name], *rest, raw=raw) if rest else raw
    return "{" + ",".join(f"{json.dumps(key)}:{item}" for key, item in items.items()) + "}"


def line(row: dict, field: str | None = None, raw: str = "null") -> bytes:
    """A journal's line with its sum, one field of it as a raw text."""
    row = {key: value for key, value in row.items() if key != "crc"}
    body = (with_raw(row, field, raw=raw) if field else json.dumps(row, separators=(",", ":"))).encode()
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def rows_of(folder: Path, name: str) -> list[dict]:
    return [json.loads(text) for text in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def every_wrong_row(folder: Path, name: str) -> Iterator[bytes]:
    """Lines that hold every wrong value in every field, good ones between; the last is good."""
    rows = rows_of(folder, name)
    number, fields = 0, list(dict.fromkeys(key for row in rows for key in row if key not in ("n", "crc")))
    for field in fields:
        for raw in WRONG.values():
            row = rows[number % (len(rows) - 1)]
            yield line({**row, "n": number}, field, raw)
            yield line({**row, "n": number + 1})
            number += 2
    yield line({**rows[-1], "n": number})


def with_every_wrong_row(folder: Path, names: Iterable[str] = ("metrics", "samples", "events")) -> Path:
    """The same run with `every_wrong_row` in its journals."""
    for name in names:
        lines = list(every_wrong_row(folder, name))
        (folder / f"{name}.jsonl").write_bytes(b"".join(lines))
    return folder


def places_of(record: dict, deeper: Iterable[str] = ("config", "data", "summary", "parameters", "environment")):
    """Every field of a record, and every one of the objects in it."""
    for key, value in record.items():
        yield (key,)
        if key in deeper and isinstance(value, dict):
            yield from ((key, inner) for inner in value)
