"""A disk that fails, and a process that dies, at each single operation of the work in faulty_disk."""

import errno
import os
import signal
from contextlib import suppress

import pytest

from llm_testing.errors import NotEnoughDisk
from llm_testing.store import files
from llm_testing.store.checkpoints import Checkpoints
from tests.store.faulty_disk import (
    FaultyOs,
    Oracle,
    check_promises,
    kill_before,
    kill_halfway,
    raising,
    short_write,
    work,
)


@pytest.fixture(scope="module", params=["every 8th", pytest.param("each", marks=pytest.mark.slow)])
def places(request, tmp_path_factory):
    """The operations at which something happens, counted from 1."""
    with pytest.MonkeyPatch.context() as patch:
        disk = FaultyOs(0, raising(errno.EIO))
        patch.setattr(files, "os", disk)
        work(tmp_path_factory.mktemp("whole") / "runs", lambda line: None)
    assert disk.num_done > 80
    return range(1, disk.num_done + 1, 1 if request.param == "each" else 8)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_an_error_at_any_operation_breaks_no_promise(tmp_path, monkeypatch, places, number):
    kinds = set()
    for nth in places:
        oracle, root = Oracle(), tmp_path / str(nth)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", FaultyOs(nth, raising(number)))
            with pytest.raises((NotEnoughDisk, OSError)) as caught:
                work(root / "runs", oracle.note)
        kinds.add(caught.type)
        check_promises(root / "runs", oracle)
    assert kinds == ({NotEnoughDisk} if number == errno.ENOSPC else {OSError})


def test_a_write_that_takes_only_half_breaks_no_promise(tmp_path, monkeypatch, places):
    refused = 0
    for nth in places:
        oracle, root = Oracle(), tmp_path / str(nth)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", FaultyOs(nth, short_write))
            try:
                work(root / "runs", oracle.note)
            except NotEnoughDisk:
                refused += 1
        check_promises(root / "runs", oracle)
    assert refused == 4 or places.step > 1  # the four rows; whole files are written on until the disk refuses


@pytest.mark.parametrize("kill", [kill_before, kill_halfway])
def test_a_death_at_any_operation_breaks_no_promise(tmp_path, places, kill):
    for nth in places:
        oracle, root = Oracle(), tmp_path / str(nth)
        for line in acks_of_a_child_that_dies(root, nth, kill):
            oracle.note(line)
        check_promises(root / "runs", oracle)


def test_a_file_is_synced_before_its_rename_and_the_rename_after_it(tmp_path, monkeypatch):
    disk = FaultyOs(0, raising(errno.EIO))
    monkeypatch.setattr(files, "os", disk)
    one_file = ["open", "write", "fsync", "replace", "open", "fsync"]
    files.write_json(tmp_path / "run.json", {})
    assert disk.done == one_file
    disk.done.clear()
    (tmp_path / "checkpoints").mkdir()
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.write(1, {"model": lambda file: file.write(b"x")}, {})
    # The staging folder, a file in it, its manifest (which syncs that folder), the rename into place, the parent.
    assert disk.done == ["mkdir", "open", "write", "fsync", *one_file, "replace", "open", "fsync"]
    disk.done.clear()
    checkpoints.delete(1)
    assert disk.done == ["replace", "open", "fsync"]


def acks_of_a_child_that_dies(root, nth, kill):
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Never back into pytest, whatever happens: this is a copy of it.
        with suppress(BaseException):
            files.os = FaultyOs(nth, kill)
            work(root / "runs", lambda line: os.write(send, f"{line}\n".encode()))
        os._exit(3)
    os.close(send)
    with os.fdopen(receive) as acks:
        lines = acks.read().splitlines()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    return lines
