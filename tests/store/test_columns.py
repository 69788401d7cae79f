"""Columns hold exactly the rows that the journal's own reader gives, whatever was written, cut off or edited."""

import math
import random

import numpy as np
import pytest

from llm_testing.store import blocks
from llm_testing.store.columns import Columns
from llm_testing.store.journal import Journal, read_journal
from llm_testing.store.lines import line_of

NAMES = ("n", "step", "train_loss", "val_loss", "lr")


@pytest.fixture(params=["line by line", "at once"], autouse=True)
def way(request, monkeypatch):
    """Both ways of reading give the same; which one a block takes is a matter of its size."""
    monkeypatch.setattr(blocks, "WORTH_BYTES", {"line by line": 2**60, "at once": 1}[request.param])
    return request.param


def same(columns: Columns, path) -> bool:
    """Whether columns and the journal's reader agree on every number."""
    rows = read_journal(path).rows
    expected = [[_number(row.get(name)) for name in NAMES] for row in rows if "step" in row]
    return np.array_equal(columns.values, np.array(expected, dtype=float).reshape(-1, len(NAMES)), equal_nan=True)


def _number(value) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def written(path, num_rows: int, seed: int) -> None:
    """A journal with gaps, rewinds and rows that lack columns."""
    draw, step = random.Random(seed), 0
    with Journal(path) as journal:
        for _ in range(num_rows):
            chance = draw.random()
            if chance < 0.05:
                step = draw.randrange(step + 1)
                journal.rewind(step)
            elif chance < 0.1:
                journal.append({"step": step, "other": "text"})
            else:
                loss = draw.choice([draw.random(), math.nan, 3])
                journal.append({"step": step, "train_loss": loss, "val_loss": None, "lr": draw.random() * 1e-9})
            step += 1


def test_plain_rows_are_read_at_once_and_others_are_not(tmp_path, way, monkeypatch):
    taken = []
    table_of = blocks.table_of
    monkeypatch.setattr(blocks, "table_of", lambda *args: taken.append(table_of(*args)) or taken[-1])
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    with Journal(plain) as journal:
        for step in range(300):
            journal.append({"step": step, "train_loss": 2.5 / (step + 1), "val_loss": None, "lr": 1e-12, "epoch": step})
    written(odd, 300, 4)
    for path in (plain, odd):
        columns = Columns(NAMES)
        assert columns.grow(path) and same(columns, path) and columns.num_damaged == 0
    found = [table is not None for table in taken]
    assert found == ([True, False] if way == "at once" else [])


@pytest.mark.parametrize(
    "value", ["9", True, [1], {"a": 1}, 10**25, -(10**25), float(2**63), "\ud800", "x\u0000é"], ids=repr
)
def test_a_value_that_is_no_plain_number_is_read_as_the_reader_reads_it(tmp_path, value):
    path = tmp_path / "metrics.jsonl"
    rows = [{"n": n, "step": n, "train_loss": 1.0, "lr": value if n == 2 else 0.5} for n in range(4)]
    path.write_bytes(b"".join(line_of(row) for row in rows))
    columns = Columns(NAMES)
    assert columns.grow(path) and same(columns, path)
    assert columns.num_damaged == len(read_journal(path).damaged)


@pytest.mark.parametrize("seed", range(5))
def test_columns_are_the_rows_of_the_reader(tmp_path, seed):
    path = tmp_path / "metrics.jsonl"
    written(path, 400, seed)
    columns = Columns(NAMES)
    assert columns.grow(path) and same(columns, path)
    assert columns.next_n == read_journal(path).next_n and not columns.grow(path)


def test_reading_on_gives_the_same_as_reading_at_once(tmp_path):
    path, whole = tmp_path / "metrics.jsonl", tmp_path / "whole"
    written(whole, 300, 7)
    data, columns = whole.read_bytes(), Columns(NAMES)
    for end in sorted(random.Random(3).sample(range(len(data)), 40)) + [len(data)]:
        path.write_bytes(data[:end])  # mostly in the middle of a line
        columns.grow(path)
        assert columns.num_damaged == 0
    assert same(columns, path)


def test_what_was_kept_is_read_on_and_another_file_is_not_taken_for_it(tmp_path):
    path, kept = tmp_path / "metrics.jsonl", tmp_path / "kept"
    written(path, 200, 1)
    columns = Columns(NAMES)
    columns.grow(path)
    columns.save(kept)
    with Journal(path) as journal:
        journal.append({"step": 900, "train_loss": 1.5})
    again = Columns.load(kept, NAMES)
    assert len(again) == len(columns) and again.grow(path) and same(again, path)
    path.unlink()
    written(path, 400, 2)
    other = Columns.load(kept, NAMES)
    assert other.grow(path) and same(other, path)


@pytest.mark.parametrize("harm", [lambda data: data[:-9], lambda data: data[:200] + b"x" + data[201:], lambda data: b"",
                                  lambda data: data.replace(b'"format":2', b'"format":9')])  # fmt: skip
def test_a_kept_file_that_was_harmed_is_as_if_it_were_not_there(tmp_path, harm):
    path, kept = tmp_path / "metrics.jsonl", tmp_path / "kept"
    written(path, 50, 1)
    columns = Columns(NAMES)
    columns.grow(path)
    columns.save(kept)
    kept.write_bytes(harm(kept.read_bytes()))
    again = Columns.load(kept, NAMES)
    assert len(again) == 0 and again.grow(path) and same(again, path)


def test_bad_lines_are_counted_and_hide_no_other(tmp_path):
    path = tmp_path / "metrics.jsonl"
    good = [line_of({"n": n, "step": n, "train_loss": 1.0}) for n in range(6)]
    bad = [b"nonsense\n", good[2].replace(b"1.0", b"2.0"), line_of({"n": 8, "step": 10**25}),
           b'{"n":1,"crc":"zzzzzzzz"}\n',
           line_of({"n": 9, "step": "9"}), line_of({"n": 10, "step": [1]})]  # fmt: skip
    path.write_bytes(b"".join(line for pair in zip(good, bad, strict=True) for line in pair))
    columns = Columns(NAMES)
    columns.grow(path)
    assert columns.column("step").tolist() == [0, 1, 2, 3, 4, 5] and columns.num_damaged == 6
    assert [place.line for place in columns.damage.places] == [2, 6]


def test_a_missing_file_has_no_rows(tmp_path):
    columns = Columns(NAMES)
    assert not columns.grow(tmp_path / "none") and len(columns) == 0
