import os
import signal

import pytest

from llm_testing.jobs.owner import effective_state, is_alive, this_process
from llm_testing.jobs.states import ACTIVE, RunState


@pytest.fixture
def child():
    """The owner facts of a living child, and its number."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    os.close(receive)
    os.close(send)
    yield pid
    with pytest.MonkeyPatch.context():
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def facts_of(pid):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        return this_process()


def test_this_process_is_alive():
    assert is_alive(this_process())


def test_a_killed_owner_is_dead_even_before_it_is_reaped(child):
    owner = facts_of(child)
    assert owner["pid"] == child
    assert is_alive(owner)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not is_alive(owner), "a zombie works on nothing"
    os.waitpid(child, 0)
    assert not is_alive(owner)


def test_the_same_number_with_another_start_is_another_process():
    owner = this_process()
    assert not is_alive({**owner, "start_time": owner["start_time"] - 5})
    assert not is_alive({**owner, "boot_id": "another boot"})


def test_a_clock_that_was_set_back_does_not_kill_the_owner(monkeypatch):
    owner = this_process()
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("psutil.boot_time", lambda: 86_400.0)
    assert is_alive(owner)


def test_of_an_owner_on_another_host_only_the_lock_knows():
    owner = {**this_process(), "host": "elsewhere", "boot_id": "elsewhere"}
    assert not is_alive(owner)
    assert is_alive(owner, lock_held=True)
    assert not is_alive({**owner, "host": this_process()["host"]}, lock_held=True)


def test_a_machine_that_was_renamed_still_knows_its_processes():
    assert is_alive({**this_process(), "host": "its old name"})


@pytest.mark.parametrize("change", [{"pid": None}, {"pid": True}, {"pid": -1}, {"pid": 2**70}, {"start_time": "x"}])
def test_malformed_owners_are_dead(change):
    assert not is_alive({**this_process(), **change})
    assert not is_alive({})


def test_a_run_whose_owner_died_is_interrupted():
    owner = this_process()
    dead = {**owner, "start_time": owner["start_time"] - 5}
    for state in RunState:
        assert effective_state({"state": str(state), "owner": owner}) is state
        for gone in (dead, None, "text"):
            expected = RunState.INTERRUPTED if state in ACTIVE else state
            assert effective_state({"state": str(state), "owner": gone}) is expected


def test_a_word_that_is_no_state_is_interrupted():
    for word in ("flying", None, ["running"]):
        assert effective_state({"state": word, "owner": this_process()}) is RunState.INTERRUPTED
