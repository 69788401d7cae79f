"""kill -9 at random moments, again and again in the life of one run, with the writer's own word as the oracle."""

import os
import random
import signal
from contextlib import suppress

import pytest

from llm_testing.store.journal import JournalReader
from llm_testing.store.runs import RunStore
from tests.store.crash_writer import write_until_killed

pytestmark = pytest.mark.proof


def kill_a_writer(root, run_id, num_acks, seed):
    """Let a child write until it has told num_acks things, kill it, and return all it told."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            write_until_killed(root, run_id, send, seed)
        os._exit(3)
    os.close(send)
    with os.fdopen(receive) as acks:
        lines = [acks.readline() for _ in range(num_acks)]
        os.kill(pid, signal.SIGKILL)
        lines += acks.readlines()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, lines
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("num_kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_kills_lose_no_committed_row_and_leave_a_readable_run_with_a_valid_checkpoint(tmp_path, num_kills):
    rng = random.Random(num_kills)
    store = RunStore(tmp_path / "runs")
    run = store.create({"name": "killed often"})
    promised_rows, saved = {}, 0
    for kill in range(num_kills):
        for what, *values in kill_a_writer(store.root, run.run_id, rng.randrange(2, 30), seed=kill):
            if what == "row":
                promised_rows[int(values[0])] = int(values[1])
            else:
                saved = int(values[0])
        assert [row.damaged for row in store.rows()] == [None]
        assert run.record()["name"] == "killed often"
        reader = JournalReader(run.metrics)
        there = {row["n"]: row.get("step", -1) for row in reader.poll()}
        assert {n: there.get(n) for n in promised_rows} == promised_rows
        assert not reader.damage and run.read("metrics").damaged == []
        newest = run.checkpoints.newest()
        assert (newest.step if newest else 0) >= saved
        assert [info.damaged for info in run.checkpoints.list() if info.damaged] == []
    assert saved > num_kills
    steps = [row["step"] for row in run.read("metrics").rows]
    assert steps == list(range(1, len(steps) + 1)), "a resumed run shows each step once"
    run.update(state="completed")
    run.checkpoints.write(steps[-1] + 1, {}, {})
    for folder in (run.path, run.checkpoints.folder):
        assert [name for name in os.listdir(folder) if name.startswith(".")] == [], "leftovers are cleared"
