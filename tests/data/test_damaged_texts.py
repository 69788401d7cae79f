"""Damaged texts and rows: whatever stands in a file, it is read or refused by its name, and a row by its line."""

import gzip
import json
import os
import zlib

import pyarrow
import pyarrow.parquet
import pytest

from llm_testing.data import textfiles
from llm_testing.data.examples import FORMATS, RowProblem, to_examples
from llm_testing.data.rows import read_rows
from llm_testing.data.textfiles import open_path
from llm_testing.errors import DamagedFile, DataError
from tests.damage import MANY, at_most_bytes, damaged, outcomes

CHAT = {"messages": [{"role": "user", "content": "q \u00e9"}, {"role": "assistant", "content": "a"}], "n": 1.5}
PAIR = {"prompt": "one", "completion": "two", "count": [1, 2, {"x": None}]}
TEXT = "A line of text, \u00e4\u4e2d\U0001f600.\n" * 60


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(path, rows, **how):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, **how)
    return path.read_bytes()


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """A whole file of each kind, by its ending."""
    path = tmp_path_factory.mktemp("whole") / "a.parquet"
    return {
        "a.txt": TEXT.encode(),
        "a.txt.gz": gzip.compress(TEXT.encode(), mtime=0),
        "a.jsonl": lines(*[{"text": f"one {i} \u00e9", "n": i} for i in range(30)]),
        "a.jsonl.gz": gzip.compress(lines(*[{"text": f"one {i}", "n": i} for i in range(30)]), mtime=0),
        "rows.jsonl": lines(*[CHAT, PAIR] * 10),
        "rows.json": json.dumps([CHAT] * 10).encode(),
        "rows.csv": ("prompt,completion\r\n" + '"a ""q"", b",two\r\n' * 30).encode(),
        "rows.txt": TEXT.encode(),
        "rows.parquet": parquet(path, [CHAT] * 20),
        "plain.parquet": parquet(path, [{**PAIR, "count": [1, 2]}] * 20, compression="none", use_dictionary=False),
        "zstd.parquet": parquet(path, [{**PAIR, "count": [i]} for i in range(200)], compression="zstd"),
    }  # fmt: skip


def read_text(path):
    for piece in open_path(path, path.name).read():
        piece.text.encode()


def read_examples(path):
    """Every row as every format; what is shown of a row can be shown."""
    rows = list(read_rows(path))
    for data_format in ("auto", *FORMATS):
        for example in to_examples(rows, data_format, {}, ""):
            shown = str(example) if isinstance(example, RowProblem) else example.text + str(example.messages)
            shown.encode()


TEXTS = ("a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz")
ROWS = ("rows.jsonl", "rows.json", "rows.csv", "rows.txt", "rows.parquet", "plain.parquet", "zstd.parquet")


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("name", [*TEXTS, *ROWS])
def test_no_damage_raises_anything_but_a_refusal(wholes, tmp_path, name, count):
    path, read = tmp_path / name, read_text if name in TEXTS else read_examples

    def given(data):
        path.write_bytes(data)
        read(path)

    given(wholes[name])
    _, refused = outcomes(given, damaged(wholes[name], count), DataError)
    assert refused > count // 20


ROW = b'{"prompt": "one", "completion": "two"}\n'
DEEP = b"[" * 600 + b"]" * 600
GZ = gzip.compress(TEXT.encode(), mtime=0)
BAD_TEXTS = {
    "empty.txt": b"",
    "spaces.txt": b" \n ",
    "utf16.txt": TEXT.encode("utf-16"),
    "utf32.txt": TEXT.encode("utf-32"),
    "latin.txt": b"caf\xe9 " * 9,
    "surrogate.txt": b"x \xed\xa0\x80 y",
    "zero.txt": b"text\0text",
    "empty.txt.gz": b"",
    "no-gzip.txt.gz": TEXT.encode(),
    "cut.txt.gz": GZ[:-9],
    "header.txt.gz": GZ[:7],
    "flipped.txt.gz": GZ[:30] + b"\xff\xff" + GZ[32:],
    "crc.txt.gz": GZ[:-8] + b"\0\0\0\0" + GZ[-4:],
    "junk.txt.gz": GZ + b"junk",
    "extra.txt.gz": GZ[:3] + b"\x04" + GZ[4:10] + b"\xff\xff",
    "zip.txt.gz": b"PK\3\4" + GZ,
    "no-json.jsonl": b"{\n",
    "deep.jsonl": b'{"text": ' + b"[" * 100_000 + b"\n",
    "list-of-lists.jsonl": DEEP + b"\n",
    "long-number.jsonl": b'{"text": "a", "n": ' + b"9" * 5000 + b"}\n",
    "surrogate.jsonl": b'{"text": "a \\ud800 b"}\n',
    "field.jsonl": b'{"\\ud800": 1}\n',
    "number.jsonl": b'{"text": NaN}\n',
    "many-fields.jsonl": json.dumps({f"field {i}": i for i in range(100_000)}).encode() + b"\n",
    "latin.jsonl": b'{"text": "caf\xe9"}\n',
    "utf16.jsonl": '{"text": "a"}\n'.encode("utf-16"),
}
BAD_ROWS = {
    "latin.csv": b"prompt,completion\ncaf\xe9,x\n",
    "long-field.csv": b"prompt,completion\n" + b'"' + b"x" * ((1 << 26) + 1) + b'",b\n',
    "utf16.csv": "prompt,completion\na,b\n".encode("utf-16"),
    "surrogate.csv": b"prompt,completion\n\xed\xa0\x80,b\n",
    "empty.json": b"",
    "object.json": b'{"a": 1}',
    "deep.json": b"[" * 100_000,
    "long-number.json": b'[{"a": ' + b"9" * 5000 + b"}]",
    "cut.json": b'[{"prompt": "one", "completion": "two"}',
    "cut-after-comma.json": b'[{"prompt": "one", "completion": "two"},',
    "junk-after.json": b'[{"prompt": "one", "completion": "two"}] and more',
    "two-arrays.json": b'[{"prompt": "one", "completion": "two"}]\n[{"prompt": "three", "completion": "four"}]',
    "latin.json": b'[{"prompt": "caf\xe9"}]',
    "utf16.json": '[{"prompt": "a"}]'.encode("utf-16"),
    "binary.txt": b"text\0text",
    "latin.txt": b"caf\xe9",
    "empty.parquet": b"",
    "magic.parquet": b"PAR1",
    "footer.parquet": b"PAR1" + b"\xff" * 40 + b"\xff\xff\xff\x7fPAR1",
    "zeros.parquet": b"PAR1" + bytes(60) + b"\x20\0\0\0PAR1",
    "encrypted.parquet": b"PARE" + bytes(60) + b"\x20\0\0\0PARE",
}
BAD_LINES = {
    "no-json.jsonl": b"{\n",
    "deep.jsonl": b"[" * 100_000 + b"\n",
    "list-of-lists.jsonl": DEEP + b"\n",
    "long-list.jsonl": b"[" + b"1," * 500_000 + b"1]\n",
    "long-number.jsonl": b'{"prompt": "a", "completion": ' + b"9" * 5000 + b"}\n",
    "surrogate.jsonl": b'{"prompt": "odd \\ud83d here", "completion": "fine"}\n',
    "surrogate-in-a-name.jsonl": b'{"prompt": "a", "completion": "b", "\\udfff": 1}\n',
    "role-list.jsonl": b'{"messages": [{"role": ["user"], "content": "x"}, {"role": "assistant", "content": "y"}]}\n',
    "role-object.jsonl": b'{"messages": [{"role": {"a": 1}, "content": "x"}]}\n',
    "role-long.jsonl": json.dumps({"messages": [{"role": "x" * 100_000, "content": "x"}]}).encode() + b"\n",
    "parts.jsonl": b'{"messages": [{"role": "user", "content": [{"type": "image", "image": 5}]}]}\n',
    "image-bytes.jsonl": b'{"messages": [{"role": "user", "content": {"bytes": "iVBORw0KGgo="}}]}\n',
    "image-number.jsonl": b'{"messages": [{"role": "user", "content": 1e400}]}\n',
    "turns-text.jsonl": b'{"messages": "hello"}\n',
    "turn-text.jsonl": b'{"messages": ["hello"]}\n',
    "no-turns.jsonl": b'{"messages": []}\n',
    "columns-many.csv": b"prompt,completion\na,b,c\n",
    "surrogate.json": b'[{"prompt": "odd \\ud83d here", "completion": "fine"}]',
    "list-of-lists.json": b"[" + DEEP + b"]",
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_damaged_text_is_refused_by_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD_TEXTS[name])
    with pytest.raises(DataError) as refusal:
        read_text(path)
    message = str(refusal.value)
    assert name in message and message.endswith(".") and len(message.encode()) < 1000


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_damaged_file_of_rows_is_refused_by_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD_ROWS[name])
    with pytest.raises(DataError) as refusal:
        list(read_rows(path))
    message = str(refusal.value)
    assert name in message and message.endswith(".") and len(message.encode()) < 1000


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_damaged_row_is_a_problem_of_its_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD_LINES[name])
    for data_format in ("prompt_completion", "chat"):
        (problem,) = to_examples(read_rows(path), data_format, {}, "")
        assert isinstance(problem, RowProblem) and name in problem.where
        assert len(str(problem).encode()) < 1000


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    os.mkfifo(tmp_path / "pipe.txt.gz")
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "pipe.jsonl", tmp_path / "folder.csv", tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(DataError):
            list(read_rows(path))
    for path in (tmp_path / "pipe.txt.gz", tmp_path / "pipe.jsonl", tmp_path):
        with pytest.raises(DataError):
            read_text(path)


def test_a_gzip_bomb_is_refused_after_a_few_blocks(tmp_path, monkeypatch):
    path = tmp_path / "bomb.txt.gz"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"a" * 2**20
    path.write_bytes(b"".join(packer.compress(block) for _ in range(100)) + packer.flush())
    monkeypatch.setattr(textfiles, "ALWAYS_UNPACKED_BYTES", 2**25)
    with at_most_bytes(60 * 2**20), pytest.raises(DamagedFile, match="bomb.txt.gz .* times its size"):
        read_text(path)


def test_text_that_packs_very_well_is_no_bomb(tmp_path):
    path = tmp_path / "dull.txt.gz"
    path.write_bytes(gzip.compress(b"the same line again\n" * 100_000))
    read_text(path)


def test_a_parquet_file_that_lies_of_its_sizes_takes_no_memory_for_them(tmp_path, wholes):
    path = tmp_path / "lies.parquet"
    whole = wholes["plain.parquet"]
    with at_most_bytes(200 * 2**20):
        for at in range(0, 60):
            path.write_bytes(whole[:at] + b"\xfe\xff\xff\xff\x0f" + whole[at + 5 :])
            try:
                list(read_rows(path))
            except DataError:
                pass
