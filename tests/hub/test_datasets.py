import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.hub.stand_in import HubServer, running

pytestmark = pytest.mark.proof

ROOT = Path(__file__).parents[2]
NUM_ROWS = 3_000


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a client process got for each of the calls below, in one process since its imports take seconds."""
    root, to, home = (tmp_path_factory.mktemp(name) for name in ("hub", "to", "home"))
    _make_datasets(root)
    with running(HubServer(root)) as server:
        server.gated.add("some/gated")
        calls = {
            "parquet": {"repo": "some/parquet"},
            "jsonl": {"repo": "some/jsonl", "split": "validation", "column": "story"},
            "missing": {"repo": "some/missing"},
            "gated": {"repo": "some/gated"},
            "column": {"repo": "some/parquet", "column": "body"},
            "numbers": {"repo": "some/parquet", "column": "number"},
            "split": {"repo": "some/parquet", "split": "test"},
            "config": {"repo": "some/parquet", "config": "english"},
            "script": {"repo": "some/script"},
            "name": {"repo": "some/bad name"},
            "stopped": {"repo": "some/parquet", "to": "again.jsonl", "stop_after": 1, "note_every_s": 0.0},
            "resumed": {"repo": "some/parquet", "to": "again.jsonl", "note_every_s": 5.0},
        }
        calls |= {f"damaged {name}": {"repo": f"some/damaged-{name.replace('.', '-')}"} for name in DAMAGED}
        found = _ask(server.url, home, to, list(calls.values()))
    return dict(zip(calls, found, strict=True)) | {"log": server.log}


def _make_datasets(root: Path) -> None:
    folder = root / "some" / "parquet" / "data"
    folder.mkdir(parents=True)
    for shard in range(2):
        numbers = range(shard * NUM_ROWS // 2, (shard + 1) * NUM_ROWS // 2)
        table = pyarrow.table({"text": [f"Story {i}\nends." if i != 3 else "" for i in numbers], "number": numbers})
        pyarrow.parquet.write_table(table, folder / f"train-0000{shard}-of-00002.parquet", row_group_size=500)
    folder = root / "some" / "jsonl"
    folder.mkdir()
    rows = [{"story": "eins"}, {"story": None}, {"story": "zwei \u00e9 \U0001f600"}]
    (folder / "validation.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    (root / "some" / "gated").mkdir()
    (root / "some" / "script").mkdir()
    for name, data in DAMAGED.items():
        (root / "some" / f"damaged-{name.replace('.', '-')}").mkdir()
        (root / "some" / f"damaged-{name.replace('.', '-')}" / f"train.{name.partition('.')[2]}").write_bytes(data)
    (root / "some" / "script" / "script.py").write_text("raise SystemExit('this code must never run')")


def _parquet_of(**columns: list) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


STORIES = _parquet_of(text=[f"Story {i}" for i in range(500)])
PACKED = gzip.compress(b"".join(b'{"text": "Story %d"}\n' % i for i in range(5000)))
DAMAGED = {
    "cut.parquet": STORIES[:-50],
    "flipped.parquet": STORIES[:60] + bytes(byte ^ 0x5A for byte in STORIES[60:400]) + STORIES[400:],
    "text.parquet": b"no parquet at all",
    "cut.jsonl.gz": PACKED[: len(PACKED) // 2],
    "flipped.jsonl.gz": PACKED[:900] + bytes(99) + PACKED[999:],
    "no-gzip.jsonl.gz": b"no gzip at all",
    "no-json.jsonl": b'{"text": "a"}\n{"text": \n',
    "deep.jsonl": b'{"text": ' + b"[" * 100_000,
    "long-number.jsonl": b'{"text": ' + b"9" * 5000 + b"}",
    "latin.csv": b"text\ncaf\xe9\n",
    "quote.csv": b'text,b\n"never closed,1\n2,3\n',
    "more-columns.csv": b"text\na\nb,c,d\n",
    "cut.zip": b"PK\3\4" + bytes(200),
    "cut.tar": b"train.txt" + bytes(2000),
    "latin.txt": b"caf\xe9",
    "zeros.arrow": bytes(2000),
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
}


def _ask(url: str, home: Path, to: Path, calls: list[dict]) -> list[dict]:
    environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if name not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    command = [sys.executable, "-m", "tests.hub.hub_client", str(to), json.dumps(calls)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_row_with_text_of_every_file_comes_in_order(answers):
    got = answers["parquet"]
    assert got["rows"] == NUM_ROWS
    assert got["kept"] == NUM_ROWS - 1  # row 3 is empty
    assert got["texts"] == [f"Story {i}\nends." for i in (0, 1, 2, 4, 5, NUM_ROWS - 1)]


def test_any_split_column_and_format_can_be_chosen(answers):
    assert answers["jsonl"]["texts"] == ["eins", "zwei \u00e9 \U0001f600", "zwei \u00e9 \U0001f600"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("missing", "DownloadError", "There is no dataset some/missing on the Hub, or it is private"),
        ("gated", "DownloadError", "some/gated asks to accept its terms"),
        ("column", "DataError", "no column 'body'; its columns are 'text', 'number'"),
        ("numbers", "DataError", "Column 'number' of some/parquet@train holds int, not text"),
        ("split", "DownloadError", "Bad split: test. Available splits: ['train']"),
        ("config", "DownloadError", "'english' not found"),
        ("script", "DownloadError", "some/script cannot be read"),
        ("name", "DownloadError", "cannot be the name of a Hub dataset"),
    ],
)
def test_what_cannot_be_had_is_said_in_words(answers, call, error, message):
    assert answers[call]["error"] == error
    assert message in answers[call]["message"]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_dataset_is_refused_by_its_name(answers, name):
    got = answers[f"damaged {name}"]
    assert got["error"] in ("DownloadError", "DataError"), got
    assert f"some/damaged-{name.replace('.', '-')}" in got["message"] and len(got["message"]) < 700


def test_a_stopped_download_goes_on_where_it_was(answers):
    assert answers["stopped"]["error"] == "Cancelled"
    assert "again.jsonl.part" in answers["stopped"]["left"]
    assert "again.jsonl" not in answers["stopped"]["left"]
    assert answers["resumed"]["rows"] == NUM_ROWS
    assert answers["resumed"]["kept"] == NUM_ROWS - 1
    assert answers["resumed"]["first_done"][1] > 0
    assert answers["resumed"]["left"].count("again.jsonl.part.json") == 0


@pytest.mark.alone
def test_an_unreachable_hub_is_known_within_seconds(tmp_path):
    (got,) = _ask("http://127.0.0.1:9", tmp_path / "home", tmp_path, [{"repo": "some/parquet"}])
    assert got["error"] == "DownloadError"
    assert "could not be reached" in got["message"]
    assert got["seconds"] < 10  # its own client tries for 23
