import codecs
import gzip
import json
import os
import socket
import tracemalloc

import pytest

from llm_testing.data import textfiles
from llm_testing.data.textfiles import open_path
from llm_testing.errors import DataError


def read(path, **more):
    return list(open_path(path, "mine", **more).pieces())


def documents(path):
    return [piece.text for piece in read(path)]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_text_file_is_one_document(tmp_path, suffix):
    write(tmp_path / f"a.txt{suffix}", "eins\nzw\u00e9i \U0001f600\n".encode())
    assert documents(tmp_path / f"a.txt{suffix}") == ["eins\nzw\u00e9i \U0001f600\n"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_each_row_of_a_jsonl_file_is_a_document(tmp_path, suffix):
    rows = [{"text": "one\r\nline", "n": 1}, {"text": ""}, {"text": "two"}]
    write(tmp_path / f"a.jsonl{suffix}", b"\n\n".join(json.dumps(row).encode() for row in rows))
    assert documents(tmp_path / f"a.jsonl{suffix}") == ["one\r\nline", "two"]


def write(path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_a_byte_order_mark_is_dropped_and_newlines_become_one_kind(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b"one\r\ntwo\rthree\n")
    monkeypatch.setattr(textfiles, "BLOCK_BYTES", 4)  # "\r" and "\n" come in different blocks
    assert documents(tmp_path / "a.txt") == ["one\ntwo\nthree\n"]
    (tmp_path / "b.jsonl").write_bytes(codecs.BOM_UTF8 + b'{"text": "x"}\r\n{"text": "y"}\r\n')
    assert documents(tmp_path / "b.jsonl") == ["x", "y"]


def test_a_character_across_two_blocks_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(textfiles, "BLOCK_BYTES", 5)
    (tmp_path / "a.txt").write_text("\U0001f600\u00e9\u4e2d" * 20, encoding="utf-8")
    assert documents(tmp_path / "a.txt") == ["\U0001f600\u00e9\u4e2d" * 20]


def test_a_folder_is_read_in_the_order_of_names_without_hidden_and_other_files(tmp_path):
    for name in ("b/2.md", "b/1.txt", "a.txt", "c.jsonl", ".git/x.txt", "b/.hidden.txt", "image.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}) if name.endswith("jsonl") else name)
    assert documents(tmp_path) == ["a.txt", "b/1.txt", "b/2.md", "c.jsonl"]


def test_a_single_file_of_any_name_is_read_as_text(tmp_path):
    (tmp_path / "notes").write_text("hello there")
    assert documents(tmp_path / "notes") == ["hello there"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b" \n \t\n", "holds no text"),
        ("a.txt", codecs.BOM_UTF8, "holds no text"),
        ("a.jsonl", b"", "holds no text"),
        ("a.jsonl", b'{"text": "  "}\n', "holds no text"),
        ("a.txt", b"text\0more", "is binary, not text: byte 4 is zero"),
        ("a.txt", b"caf\xe9 au lait", "is not UTF-8 text: near byte 3"),
        ("a.txt", b"cut short \xf0\x9f", "is not UTF-8 text"),
        ("a.txt", "hello".encode("utf-16"), "is UTF-16, not UTF-8. Save it as UTF-8"),
        ("a.txt", "hello".encode("utf-32"), "is UTF-32, not UTF-8"),
        ("a.jsonl", '{"text": "x"}'.encode("utf-16"), "is UTF-16, not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n\n{"text": }\n', "Line 3 of .*a.jsonl is not JSON"),
        (
            "a.jsonl",
            b'{"text": "x"}\n{"body": "y", "n": 1}\n',
            "Line 2 .* no field 'text'; its fields are: 'body', 'n'",
        ),
        ("a.jsonl", b'{"text": "x"}\n{"text": 7}\n', "Line 2 .* a field 'text' that is not text but 7"),
        ("a.jsonl", b'["x"]\n', 'Line 1 .* is not an object but \\["x"\\]'),
        ("a.jsonl", b'{"text": "x"}\n{"text": "\xff"}\n', "in line 2"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "Line 1 .* half of a surrogate pair"),
        ("a.jsonl", b"[" * 100_000, "Line 1 .* is not JSON"),
        ("a.txt.gz", b"no gzip at all", "is not a whole gzip file"),
        ("a.txt.gz", gzip.compress(b"some text" * 1000, mtime=0)[:-20], "is not a whole gzip file"),
        ("a.txt.gz", gzip.compress(b"a\0b", mtime=0), "is binary"),
    ],
)
def test_what_is_no_text_is_refused_with_file_and_place(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path / name)
    assert name in str(refused.value)


def test_a_row_that_is_too_long_to_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(textfiles, "LINE_BYTES", 1 << 20)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x"}) + "\n" + json.dumps({"text": "y" * (1 << 20)}))
    with pytest.raises(DataError, match="Line 2 .* is longer than 1 MiB"):
        read(tmp_path / "a.jsonl")


def test_a_folder_without_text_is_refused(tmp_path):
    (tmp_path / "image.png").write_bytes(b"x")
    with pytest.raises(DataError, match="holds no text file. Accepted are .txt, .md and .jsonl"):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_sockets_and_devices_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="neither a regular file nor a folder"):
        read(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="neither a regular file nor a folder"):
        read(textfiles.Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "s.txt"))
        with pytest.raises(DataError, match="holds no text file"):
            read(tmp_path)


def test_a_broken_link_in_a_folder_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").symlink_to(tmp_path / "gone.txt")
    assert documents(tmp_path) == ["text"]


@pytest.mark.parametrize("packed", [True, False])
def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path, packed):
    size = 64 << 20  # gzip packs it 1000 to 1
    path = tmp_path / ("bomb.txt.gz" if packed else "large.txt")
    with gzip.open(path, "wb", compresslevel=1) if packed else path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(b"word " * (1 << 18) + b"\n")
    tracemalloc.start()
    try:
        total = sum(len(piece.text) for piece in open_path(path, "large").pieces())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > size
    assert peak < 16 << 20
