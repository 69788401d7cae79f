import json
import os
import subprocess
import sys

import pytest

from llm_testing.errors import BadRunId, DamagedRun, NotEnoughDisk, NotFound, WrongState
from llm_testing.store import files
from llm_testing.store.checkpoints import Checkpoints


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "run" / "checkpoints")


def save(checkpoints, step, content=b"weights", **facts):
    contents = {
        "model.safetensors": lambda file: file.write(content),
        "state.pt": lambda file: file.write(b"s" * step),
    }
    return checkpoints.write(step, contents, {"step": step, **facts})


def names(checkpoints):
    return sorted(os.listdir(checkpoints.folder))


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_saved_step_is_a_folder_with_its_files_and_a_manifest(checkpoints):
    path = save(checkpoints, 1000, kind=["periodic"])
    assert path == checkpoints.folder / "step-00001000"
    assert names(checkpoints) == ["step-00001000"]
    assert sorted(os.listdir(path)) == ["manifest.json", "model.safetensors", "state.pt"]
    assert (path / "model.safetensors").read_bytes() == b"weights"
    (info,) = checkpoints.list()
    assert (info.step, info.path, info.bytes, info.damaged) == (1000, path, 1007, None)
    assert info.facts == {"step": 1000, "kind": ["periodic"]}


def test_no_checkpoints_yet_is_an_empty_list(checkpoints):
    assert checkpoints.list() == []
    assert checkpoints.newest() is None
    with pytest.raises(NotFound, match="There are: none yet"):
        checkpoints.get(5)


def test_a_flipped_bit_makes_the_one_before_the_newest(checkpoints):
    for step in (10, 20, 30):
        save(checkpoints, step)
    flip_a_bit(checkpoints.folder / "step-00000030" / "model.safetensors")
    assert checkpoints.newest(verify=False).step == 30
    assert checkpoints.newest().step == 20
    with pytest.raises(DamagedRun, match=r"step-00000030.model.safetensors has changed since it was saved"):
        checkpoints.verify(30)
    assert checkpoints.newest_before(20).step == 10
    assert checkpoints.newest_before(10) is None


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: (path / "state.pt").unlink(), "state.pt is missing"),
        (lambda path: (path / "state.pt").write_bytes(b"s"), "state.pt has 1 bytes where 30 were saved"),
        (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda path: (path / "manifest.json").write_text("{"), "manifest.json is not valid"),
        (lambda path: (path / "manifest.json").write_text("{}"), "has schema None"),
        (lambda path: os.replace(path, path.with_name("step-00000031")), "its folder says 31"),
        (lambda path: ((path / "state.pt").unlink(), os.mkfifo(path / "state.pt")), "not a regular file"),
        (lambda path: ((path / "state.pt").unlink(), (path / "state.pt").symlink_to("/dev/zero")), "cannot be read"),
    ],
)
def test_damage_is_seen_without_reading_the_big_files_and_hides_no_other(checkpoints, harm, reason):
    save(checkpoints, 20)
    harm(save(checkpoints, 30))
    good, bad = checkpoints.list()
    assert good.damaged is None
    assert reason in bad.damaged
    assert checkpoints.newest().step == 20
    with pytest.raises(DamagedRun, match=reason):
        checkpoints.verify(bad.step)


@pytest.mark.parametrize("name", ["../../run.json", "/etc/passwd", "a/b", ".hidden", ""])
def test_a_manifest_cannot_name_files_outside_its_folder(checkpoints, name):
    path = save(checkpoints, 30)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"] = {name: {"bytes": 1, "sha256": "00"}}
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert "no usable list of files" in checkpoints.list()[0].damaged
    with pytest.raises(ValueError, match="cannot be a checkpoint's file"):
        checkpoints.write(40, {name: lambda file: file.write(b"x")}, {})


def test_a_link_in_place_of_a_checkpoint_or_of_the_folder_is_not_followed(checkpoints, tmp_path):
    elsewhere = save(Checkpoints(tmp_path / "elsewhere"), 10)
    save(checkpoints, 20)
    (checkpoints.folder / "step-00000010").symlink_to(elsewhere)
    assert [info.step for info in checkpoints.list()] == [20]
    (tmp_path / "linked").symlink_to(checkpoints.folder)
    assert Checkpoints(tmp_path / "linked").list() == []


def test_saving_a_step_again_replaces_it_and_leaves_nothing_else(checkpoints):
    save(checkpoints, 10, b"old")
    save(checkpoints, 10, b"new")
    assert names(checkpoints) == ["step-00000010"]
    assert (checkpoints.verify(10).path / "model.safetensors").read_bytes() == b"new"


def test_a_save_that_fails_leaves_what_there_was(checkpoints):
    save(checkpoints, 10, b"old")
    with pytest.raises(ZeroDivisionError):
        checkpoints.write(10, {"model.safetensors": lambda file: file.write(b"x") / 0}, {})
    assert names(checkpoints) == ["step-00000010"]
    assert (checkpoints.verify(10).path / "model.safetensors").read_bytes() == b"old"


def test_a_replacement_cut_between_its_two_renames_keeps_the_old_one_usable(checkpoints):
    save(checkpoints, 10, b"old")
    aside = checkpoints.folder / ".old-step-00000010-0123456789ab"
    os.replace(checkpoints.folder / "step-00000010", aside)
    assert checkpoints.newest().path == aside
    save(checkpoints, 20)
    assert names(checkpoints) == ["step-00000010", "step-00000020"]
    assert (checkpoints.verify(10).path / "model.safetensors").read_bytes() == b"old"


def test_a_save_clears_what_dead_processes_left_and_nothing_of_the_living(checkpoints):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    save(checkpoints, 10)
    gone = checkpoints.folder / f".new-{dead.pid}-0123456789ab"
    # A restarted container gives the same numbers again: a folder older than the process is somebody else's.
    ancient = checkpoints.folder / f".gone-{os.getpid()}-0123456789ab"
    living = checkpoints.folder / f".new-{os.getpid()}-ba9876543210"
    strange = checkpoints.folder / ".keep"
    for path in (gone, ancient, living, strange):
        path.mkdir()
    os.utime(ancient, (1, 1))
    save(checkpoints, 20)
    assert names(checkpoints) == sorted([living.name, strange.name, "step-00000010", "step-00000020"])


def test_there_must_be_room_for_another_like_the_newest(checkpoints, monkeypatch):
    save(checkpoints, 10, b"w" * 990)
    asked = []
    monkeypatch.setattr(files, "free_bytes", lambda path: asked.append(path) or 1199)
    with pytest.raises(NotEnoughDisk, match="needs about 1,200 bytes but .*checkpoints has 1,199 bytes free"):
        save(checkpoints, 20)
    assert asked == [checkpoints.folder]
    assert names(checkpoints) == ["step-00000010"]
    monkeypatch.setattr(files, "free_bytes", lambda path: 1200)
    save(checkpoints, 20)


def test_a_disk_that_fills_up_while_saving_costs_nothing_saved_before(small_disk):
    checkpoints = Checkpoints(small_disk / "checkpoints")
    save(checkpoints, 10)
    with pytest.raises(NotEnoughDisk, match="The disk is full"):
        save(checkpoints, 20, b"x" * 2 * 2**20)
    assert names(checkpoints) == ["step-00000010"]
    save(checkpoints, 20)
    assert checkpoints.newest().step == 20


def test_deleting_spares_what_is_protected(checkpoints):
    save(checkpoints, 10)
    save(checkpoints, 20)
    with pytest.raises(WrongState, match="step 10 is still needed"):
        checkpoints.delete(10, protect={10})
    checkpoints.delete(20, protect={10})
    assert names(checkpoints) == ["step-00000010"]
    with pytest.raises(NotFound, match="There are: 10"):
        checkpoints.delete(20)


def test_facts_change_without_touching_the_sums(checkpoints):
    save(checkpoints, 10, kind=["rolling"])
    info = checkpoints.update_facts(10, kind=["rolling", "best"], val_loss=1.5)
    assert info.facts == {"step": 10, "kind": ["rolling", "best"], "val_loss": 1.5}
    assert checkpoints.verify(10) == info
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoints.update_facts(10, val_loss=float("nan"))
    assert checkpoints.verify(10) == info


@pytest.mark.parametrize("step", [-1, 1.0, True, "10"])
def test_what_is_no_step_is_refused_before_anything_is_written(checkpoints, step):
    with pytest.raises(BadRunId, match="is not a step"):
        checkpoints.write(step, {}, {})
    assert not checkpoints.folder.exists()
