import os
import signal
import subprocess
import sys
import threading

import pytest

from llm_testing.errors import Busy, Cancelled, NotEnoughDisk
from llm_testing.jobs.lock import TrainerLock
from llm_testing.jobs.threads import join, start_thread

RUN_ID = "20261123-101500-k3f9"
HOLD = """
import sys
from pathlib import Path
from llm_testing.jobs.lock import TrainerLock
lock = TrainerLock(Path(sys.argv[1]), "cpu")
lock.acquire({"run_id": sys.argv[2], "state": "running"})
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the cpu."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), RUN_ID]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_lock_names_its_holder_and_dies_with_its_process(tmp_path, holder):
    lock = TrainerLock(tmp_path, "cpu")
    with pytest.raises(Busy, match=rf"Run {RUN_ID} \(process {holder.pid}\) is training on cpu") as caught:
        lock.acquire({"run_id": "mine"})
    assert (caught.value.run_id, caught.value.state) == (RUN_ID, "running")
    assert lock.holder()["run_id"] == RUN_ID
    assert lock.is_held()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.holder() is None
    assert not lock.is_held()
    lock.acquire({"run_id": "mine"})
    assert lock.holder()["owner"]["pid"] == os.getpid()
    lock.release()


def test_waiting_ends_when_the_holder_dies(tmp_path, holder):
    lock, checked, taken = TrainerLock(tmp_path, "cpu"), threading.Event(), []
    waiter = start_thread(
        "waiter",
        lambda: taken.append(lock.acquire({"run_id": "mine"}, wait=True, check=checked.set, poll_s=0.01)),
    )
    assert checked.wait(60)
    assert not taken
    holder.kill()
    assert join(waiter, 10)
    assert lock.holder()["run_id"] == "mine"
    lock.release()


def test_waiting_can_be_given_up(tmp_path):
    held = TrainerLock(tmp_path, "cpu")
    held.acquire({})
    polls = iter(range(3))

    def check():
        if next(polls, None) is None:
            raise Cancelled

    with pytest.raises(Cancelled):
        TrainerLock(tmp_path, "cpu").acquire({}, wait=True, check=check, poll_s=0.001)
    held.release()


def test_one_process_has_one_trainer_too(tmp_path):
    first, second = TrainerLock(tmp_path, "cpu"), TrainerLock(tmp_path, "cpu")
    first.acquire({"run_id": RUN_ID})
    for lock in (first, second):
        with pytest.raises(Busy, match=RUN_ID):
            lock.acquire({"run_id": "other"})
    second.release()
    assert first.is_held()
    first.release()
    first.release()
    assert (first.holder(), second.holder()) == (None, None)
    second.acquire({})
    second.release()


def test_devices_and_roots_have_locks_of_their_own(tmp_path):
    locks = [TrainerLock(tmp_path / root, device) for root in ("a", "b") for device in ("cpu", "cuda:0", "cuda:1")]
    for lock in locks:
        lock.acquire({})
    assert all(lock.is_held() for lock in locks)
    assert sorted(name for name in os.listdir(tmp_path / "a") if name.endswith(".lock")) == [
        ".trainer-cpu.lock",
        ".trainer-cuda-0.lock",
        ".trainer-cuda-1.lock",
    ]
    for lock in locks:
        lock.release()


def test_of_many_threads_that_try_at_once_one_gets_it(tmp_path):
    locks, barrier, won = [TrainerLock(tmp_path, "cpu") for _ in range(8)], threading.Barrier(8), []

    def try_it(lock):
        barrier.wait()
        try:
            lock.acquire({"run_id": RUN_ID})
        except Busy:
            return
        won.append(lock)

    threads = [start_thread("try", lambda lock=lock: try_it(lock)) for lock in locks]
    assert all(join(thread, 20) for thread in threads)
    assert len(won) == 1
    won[0].release()


def test_a_holder_that_cannot_write_its_facts_does_not_keep_the_lock(tmp_path, monkeypatch):
    def full(path, value):
        raise NotEnoughDisk("The disk is full.")

    lock = TrainerLock(tmp_path, "cpu")
    with monkeypatch.context() as patch:
        patch.setattr("llm_testing.jobs.lock.write_json", full)
        with pytest.raises(NotEnoughDisk):
            lock.acquire({})
    assert not lock.is_held()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"owner": 7}', b'{"owner": {"pid": "x"}}'])
def test_damaged_facts_do_not_matter(tmp_path, content):
    lock = TrainerLock(tmp_path, "cpu")
    (tmp_path / ".trainer-cpu.json").write_bytes(content)
    assert lock.holder() is None
    lock.acquire({"run_id": RUN_ID})
    (tmp_path / ".trainer-cpu.json").write_bytes(content)
    with pytest.raises(Busy, match="Another run is training on cpu"):
        TrainerLock(tmp_path, "cpu").acquire({})
    lock.release()
