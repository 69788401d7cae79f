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
    (root / "some" / "script" / "script.py").write_text("raise SystemExit('this code must never run')")


def _ask(url: str, home: Path, to: Path, calls: list[dict]) -> list[dict]:
    environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if name not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    command = [sys.executable, "-m", "tests.hub.hub_client", str(to), json.dumps(calls)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100)
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


def test_a_stopped_download_goes_on_where_it_was(answers):
    assert answers["stopped"]["error"] == "Cancelled"
    assert "again.jsonl.part" in answers["stopped"]["left"]
    assert "again.jsonl" not in answers["stopped"]["left"]
    assert answers["resumed"]["rows"] == NUM_ROWS
    assert answers["resumed"]["kept"] == NUM_ROWS - 1
    assert answers["resumed"]["first_done"][1] > 0
    assert answers["resumed"]["left"].count("again.jsonl.part.json") == 0


def test_an_unreachable_hub_is_known_within_seconds(tmp_path):
    (got,) = _ask("http://127.0.0.1:9", tmp_path / "home", tmp_path, [{"repo": "some/parquet"}])
    assert got["error"] == "DownloadError"
    assert "could not be reached" in got["message"]
    assert got["seconds"] < 10  # its own client tries for 23
