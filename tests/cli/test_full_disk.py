"""A run on the command line whose last save finds no room, on a real small disk, with real signals."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Said, command_line, environment
from tests.service.parts import until
from tests.small_disk import fill, make_room, small_disk

pytestmark = pytest.mark.proof
WIDE = [*SMALL[: SMALL.index("--n-embd")], "--n-embd", "64", *SMALL[SMALL.index("--n-embd") + 2 :]]
"""Its checkpoint takes 0.7 MiB."""
LEFT = 200_000


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk") / "runs", "6m") as path:
        yield path


def record_of(disk: Path, run_id: str) -> dict:
    return json.loads((disk / run_id / "run.json").read_text(encoding="utf-8"))


def test_a_last_save_without_room_is_said_at_once_and_ctrl_c_ends_it_with_the_truth(disk, cache_dir, say):
    first = say("pretrain", *WIDE, "--max-steps", "4", "--runs-dir", disk, "--json").json()
    run_id = first["run_id"]
    fill(disk, LEFT)
    args = command_line("resume", run_id, "--max-steps", "6", "--runs-dir", disk, "--json")
    process = subprocess.Popen(
        args, env=environment(cache_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    give_up = threading.Timer(60, process.kill)
    give_up.start()
    said = []
    for line in process.stderr:
        said.append(line)
        if "Waiting for disk space" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    give_up.cancel()
    err = "".join(said) + err
    waits = said[-1]
    assert f"but {disk / run_id / 'checkpoints'} has" in waits and "step 6" in waits and "Ctrl-C" in waits, waits
    assert process.returncode == 130, err
    result = Said(130, out, err).json()
    assert (result["state"], result["step"]) == ("interrupted", 6)
    assert "Traceback" not in err
    assert "is interrupted at step 6" in err and "goes on from step 4" in err
    assert "completed" not in err and "is running" not in err
    assert record_of(disk, run_id)["state"] == "interrupted"

    # There is still no room: a second try waits, and saves by itself as soon as there is some.
    events = disk / run_id / "events.jsonl"

    def free_when_it_waits() -> None:
        until(lambda: events.read_text().count("Waiting for disk space") == 2)
        make_room(disk)

    freer = threading.Thread(target=free_when_it_waits)
    freer.start()
    on = say("resume", run_id, "--max-steps", "6", "--runs-dir", disk, "--json")
    freer.join()
    assert on.status == 0, on.err
    assert (on.json()["state"], on.json()["step"]) == ("completed", 6)
    assert "Waiting for disk space" in on.err
    steps = [json.loads(line).get("step") for line in (disk / run_id / "metrics.jsonl").read_text().splitlines()]
    assert steps[-1] == 6, "the last point stands in the journal too"
    assert record_of(disk, run_id)["state"] == "completed"
    assert not [path for path in (disk / run_id).iterdir() if path.name.startswith(".")]
