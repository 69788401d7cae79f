"""A disk that fills up while a run trains: what was written stays, what waited is written once there is room.

A run whose last save finds no room waits for it, and says how it ended whatever happens. The disk is a real one.
"""

import errno
import json
import os

import pytest

from llm_testing.errors import NotEnoughDisk, NotFound
from llm_testing.jobs.control import Control
from llm_testing.jobs.states import TERMINAL
from llm_testing.service.lab import Lab
from llm_testing.service.outcome import FOLDERS
from llm_testing.store import files
from llm_testing.train.events import Logged
from tests.data.tiny_model import tiny_model, write_rows
from tests.service.parts import TINY, checkpoint_files, curve, run, until
from tests.service.test_finetuning import TUNING
from tests.small_disk import fill, make_room, small_disk

pytestmark = pytest.mark.proof
WIDE = {**TINY, "n_embd": 64}
"""Its checkpoint takes 0.7 MiB."""
LEFT = 200_000


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_training_goes_on_and_catches_up_when_there_is_room_again(lab, monkeypatch):
    whole = run(lab)
    original = os.write
    seen = []

    def act(event):
        if isinstance(event, Logged) and event.step == 2:
            seen.append(checkpoint_files(lab, lab.live().run_id))
            monkeypatch.setattr(files.os, "write", full_disk)
        if isinstance(event, Logged) and event.step == 5:
            monkeypatch.setattr(files.os, "write", original)

    run_id = run(lab, on_event=act)
    details = lab.details(run_id)
    assert details["state"] == "completed"
    assert curve(lab, run_id) == curve(lab, whole)
    assert any("could not be saved" in row.get("message", "") for row in lab.events(run_id).rows)
    assert "final" in details["checkpoints"][-1]["kinds"]


@pytest.fixture
def full(tmp_path):
    """A lab on a disk with room for a run's folder, and for no checkpoint."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        lab = Lab(disk / "runs", tmp_path.parent / "cache")
        fill(disk, LEFT)
        yield lab, disk
        assert lab.shutdown(60), "a run outlived its test"


def start_and_wait_for_room(lab, **values):
    run_id = lab.start({**WIDE, **values}).run_id
    until(lambda: lab.live().phase == "waiting for disk space")
    return run_id


def end(lab, run_id):
    until(lambda: lab.live() is None or lab.live().run_id != run_id)
    return lab.details(run_id)


def test_a_last_save_without_room_says_what_it_waits_for_and_is_made_when_there_is_some(full):
    lab, disk = full
    run_id = start_and_wait_for_room(lab)
    live = lab.live()
    assert (live.state, live.unit, live.step) == ("paused", "bytes", 6)
    assert live.total > 700_000 and 0 <= live.done <= LEFT
    (waits,) = [warning for warning in live.warnings if warning.startswith("Waiting for disk space to save step 6.")]
    assert f"{live.total:,} bytes" in waits and str(disk / "runs" / run_id / "checkpoints") in waits
    assert sum("could not be saved" in warning for warning in live.warnings) == 1, "once, not at each save"
    lab.sample_now("The")
    until(lambda: any(row["prompt"] == "The" and row["step"] == 6 for row in lab.samples(run_id).rows))
    lab.resume()  # there is still no room: it waits on
    until(lambda: sum(row["event"] == "paused" for row in lab.events(run_id).rows) == 2)
    make_room(disk)
    details = end(lab, run_id)
    assert details["state"] == "completed" and "final" in details["checkpoints"][-1]["kinds"]
    assert curve(lab, run_id)[-1][0] == 6


@pytest.mark.parametrize("kept", [0, 3])
def test_a_stop_ends_a_run_that_waits_for_room_with_the_truth_and_it_can_be_resumed(full, kept):
    lab, disk = full
    if kept:
        make_room(disk)
        run_id = run(lab, **{**WIDE, "max_steps": 3})
        fill(disk, LEFT)
        lab.resume(run_id, {"max_steps": 6})
        until(lambda: lab.live().phase == "waiting for disk space")
    else:
        run_id = start_and_wait_for_room(lab)
    lab.stop("save")
    details = end(lab, run_id)
    assert details["state"] == lab.last().state == lab.result(run_id)["state"] == "interrupted"
    where = "resume then goes on from step 3." if kept else "resume then begins anew."
    assert lab.last().warnings[-1] == f"Step 6 was not saved, since the disk did not take it: {where}"
    make_room(disk)
    lab.resume(run_id, {"max_steps": 6})
    until(lambda: lab.last().state in TERMINAL)
    assert lab.last().state == "completed"
    assert lab.details(run_id)["checkpoints"][-1]["step"] == 6


def test_a_discarded_run_that_waits_for_room_is_gone_and_the_queue_goes_on(full):
    lab, disk = full
    first = start_and_wait_for_room(lab)
    second = lab.start(WIDE, queue=True).run_id
    lab.stop("discard")
    with pytest.raises(NotFound):
        end(lab, first)
    assert [row.run_id for row in lab.trashed()] == [first]
    until(lambda: lab.live() and lab.live().run_id == second and lab.live().phase == "waiting for disk space")
    lab.stop("discard")
    until(lambda: lab.live() is None)


def test_on_a_disk_without_any_room_a_run_says_how_it_ended_nothing_is_started_and_the_queue_stays(full):
    lab, disk = full
    first = start_and_wait_for_room(lab)
    fill(disk, 0)
    lab.stop("save")
    assert end(lab, first)["state"] == "interrupted"
    assert json.loads((disk / "runs" / first / "run.json").read_bytes())["state"] == "interrupted"
    make_room(disk)
    records = lab.sweeps.plan("pretrain", WIDE, {"seed": [1]}).records
    (second,) = lab._launcher.enqueue(list(records), begin=False)
    fill(disk, 0)
    for start in (lab.run_queue, lambda: lab.start(WIDE)):
        with pytest.raises(NotEnoughDisk, match="The disk is full"):
            start()
        assert lab.queued() == [second] and {row.run_id for row in lab.rows()} == {second, first}
    make_room(disk)
    assert lab.run_queue() == second
    until(lambda: lab.last().run_id == second and lab.last().state in TERMINAL)
    assert lab.last().state == "completed"


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_finished_model_without_room_is_waited_for_as_a_checkpoint_is(full, tmp_path, adapter):
    lab, disk = full
    make_room(disk)
    base = tiny_model(tmp_path / "base")
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": f"say {n}", "completion": "one"} for n in range(9)])
    said = []

    def report(progress):
        said.append(progress.phase)
        if progress.phase in ("writing the adapter", "writing the model") and said.count(progress.phase) == 1:
            fill(disk, 0)
        if progress.phase == "waiting for disk space":
            make_room(disk)

    values = {**TUNING, "model_name": str(base), "dataset": str(rows), "adapter": adapter, "max_steps": 2}
    run_id = lab.finetuning.run_here(values, control=Control(), report=report)
    assert lab.details(run_id)["state"] == "completed"
    assert "waiting for disk space" in said
    (waits,) = [warning for warning in lab.last().warnings if warning.startswith("Waiting for disk space")]
    assert "to save the finished model" in waits and "resume then goes on from step 2" in waits
    assert (disk / "runs" / run_id / FOLDERS[adapter] / "README.md").is_file()
    assert not list((disk / "runs" / run_id).glob(".*"))
