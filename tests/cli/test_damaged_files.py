"""Damaged files on the command line: one line that names the file, and a status that is not 0."""

import gzip
import os

import pytest

from tests.cli.conftest import SMALL
from tests.data.tiny_model import tiny_model, write_rows
from tests.service.bad_zips import ID, bad_zips

BAD = bad_zips()


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "runs"


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_zip_is_one_line(say, runs_dir, tmp_path, name):
    file = tmp_path / "given.zip"
    file.write_bytes(BAD[name])
    said = say("runs", "import", file, "--runs-dir", runs_dir)
    words = said.out + said.err
    assert said.status in (1, 2) and words.count("\n") == 1 and "Traceback" not in words, words
    assert "given.zip" in words or ID in words, words
    assert not runs_dir.exists() or [path.name for path in runs_dir.iterdir()] == []


def test_a_pipe_or_folder_is_no_zip(say, tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "folder.zip").mkdir()
    for name in ("pipe.zip", "folder.zip", "absent.zip"):
        said = say("runs", "import", tmp_path / name, "--runs-dir", tmp_path / "runs")
        assert said.status == 2 and said.err.count("\n") == 1 and name in said.err


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A good model and rows, and damaged files of each kind beside them."""
    root = tmp_path_factory.mktemp("files")
    tiny_model(root / "good")
    write_rows(root / "good.jsonl", [{"prompt": f"{i}", "completion": "two"} for i in range(4)])
    (root / "cut.txt.gz").write_bytes(gzip.compress(b"text " * 999)[:-9])
    (root / "bad.parquet").write_bytes(b"PAR1" + bytes(40) + b"\xff\xff\xff\x7fPAR1")
    (root / "role.jsonl").write_text('{"messages": [{"role": ["user"], "content": "x"}]}\n')
    (root / "laughs.yaml").write_text("a: &a [1, 2]\nb: [*a, *a]\n")
    (root / "tag.yaml").write_text("a: !!bool maybe\n")
    os.mkfifo(root / "pipe.yaml")
    os.mkfifo(root / "pipe.jsonl")
    for name, file, data in (
        ("cut-weights", "model.safetensors", b"\xff" * 8),
        ("deep-config", "config.json", b'{"a":' * 5000),
        ("no-tokenizer", "tokenizer.json", b'{"version": "1.0"'),
    ):
        tiny_model(root / name)
        (root / name / file).write_bytes(data)
    return root


@pytest.mark.parametrize(
    ("command", "flag", "name", "named"),
    [
        ("pretrain", "--corpus", "cut.txt.gz", "cut.txt.gz"),
        ("pretrain", "--corpus", "pipe.jsonl", "pipe.jsonl"),
        ("pretrain", "--config", "laughs.yaml", "laughs.yaml"),
        ("pretrain", "--config", "tag.yaml", "tag.yaml"),
        ("pretrain", "--config", "pipe.yaml", "pipe.yaml"),
        ("finetune", "--dataset", "bad.parquet", "bad.parquet"),
        ("finetune", "--dataset", "role.jsonl", "ine 1 of role.jsonl"),
        ("finetune", "--dataset", "pipe.jsonl", "pipe.jsonl"),
        ("finetune", "--model-name", "cut-weights", "model.safetensors of cut-weights"),
        ("finetune", "--model-name", "deep-config", "config.json of deep-config"),
        ("finetune", "--model-name", "no-tokenizer", "tokenizer in no-tokenizer"),
    ],
)
def test_a_damaged_file_is_named_in_the_last_line(say, files, tmp_path, command, flag, name, named):
    good = {"--model-name": files / "good", "--dataset": files / "good.jsonl"} if command == "finetune" else {}
    given = [word for pair in {**good, flag: files / name}.items() for word in pair]
    start = SMALL if command == "pretrain" else ["--preset", "none", "--max-seq-length", "64"]
    said = say(command, *start, *given, "--runs-dir", tmp_path / "runs")
    assert said.status == 2 and said.out == "" and "Traceback" not in said.err
    assert named in said.err.splitlines()[-1], said.err
