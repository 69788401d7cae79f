"""Runs in the background: commands, states, the queue, and who gets the trainer."""

import json
import subprocess
import sys
import textwrap
import threading

import psutil
import pytest
import torch

from llm_testing.errors import Busy, NotEnoughMemory, WrongState
from llm_testing.estimate.estimator import Estimator
from llm_testing.jobs.control import Control
from llm_testing.jobs.machine import MemoryFacts
from llm_testing.jobs.queue import RunQueue
from llm_testing.service import estimates, memory_check
from llm_testing.service import job as module_of_jobs
from llm_testing.service import lab as lab_module
from llm_testing.service.board import Board
from llm_testing.service.lab import Lab
from llm_testing.train import step
from llm_testing.train.step import TrainingStep
from tests.service.parts import TINY, checkpoint_files, curve, final_weights, run, until

pytestmark = pytest.mark.proof

LONG = {**TINY, "max_steps": 100_000, "intermediate_val_freq_steps": 1000}


def started(lab, **values):
    run_id = lab.start({**LONG, **values}).run_id
    until(lambda: lab.last().state != "starting" and lab.last().step > 1 or lab.last().error)
    assert lab.last().error is None
    return run_id


def ended(lab):
    until(lambda: lab.live() is None)
    return lab.last()


def test_start_returns_at_once_and_the_view_follows_the_run(lab):
    run_id = lab.start(TINY).run_id
    assert lab.live().run_id == run_id and lab.live().state in ("queued", "starting", "running")
    live = ended(lab)
    assert (live.state, live.step, live.total_steps) == ("completed", 6, 6)
    assert live.train_loss and live.val_loss and live.tokens_seen == 192 and live.eta_s == 0


def test_whoever_sees_that_a_run_has_ended_can_start_the_next(lab, monkeypatch):
    ended_slowly = threading.Event()
    monkeypatch.setattr(module_of_jobs, "free_memory", lambda device: ended_slowly.wait(0.5))
    first = lab.start(TINY).run_id
    until(lambda: lab.details(first)["state"] == "completed")
    assert lab.start(TINY).run_id != first
    assert ended(lab).state == "completed"


def test_pause_keeps_the_trainer_and_resume_changes_nothing(lab):
    whole = run(lab, max_steps=12)
    run_id = lab.start({**TINY, "max_steps": 12}).run_id
    lab.pause()  # while it is still starting: it takes effect at the first step
    until(lambda: lab.last().state == "paused")
    assert lab.last().step == 0 and lab.details(run_id)["state"] == "paused"
    with pytest.raises(Busy, match=run_id):
        lab.start(TINY)
    assert lab.resume().run_id == run_id
    assert ended(lab).state == "completed"
    assert curve(lab, run_id) == curve(lab, whole) and final_weights(lab, run_id) == final_weights(lab, whole)


def test_a_pause_asked_for_before_the_trainer_has_woken_from_the_last_one_takes_effect(lab):
    run_id = started(lab)
    lab.pause()
    until(lambda: lab.last().state == "paused")
    with lab._launcher.active().control._changed:  # nobody wakes in between
        lab.resume()
        lab.pause()
    until(lambda: lab.last().state == "paused")
    assert lab.details(run_id)["state"] == "paused"
    lab.resume()
    until(lambda: lab.last().state == "running")


def test_whatever_state_is_seen_is_on_disk_already(lab, monkeypatch):
    seen = []

    def entering(self, state):
        seen.append((str(state), lab.details(self.view().run_id)["state"]))
        original(self, state)

    original = Board.enter
    monkeypatch.setattr(Board, "enter", entering)
    started(lab)
    lab.pause()
    until(lambda: lab.last().state == "paused")
    lab.resume()
    lab.stop()
    ended(lab)
    assert [state for state, _ in seen] == ["running", "pausing", "paused", "running", "stopping"]
    assert all(state == on_disk for state, on_disk in seen)


@pytest.fixture
def slow_estimate(lab, monkeypatch):
    """An estimate that is made only once somebody allows it."""
    asked, allowed = threading.Event(), threading.Event()

    def slow(self, *args):
        asked.set()
        assert allowed.wait(60)
        return original(self, *args)

    original = estimates.Estimates.of_run
    monkeypatch.setattr(estimates.Estimates, "of_run", slow)
    yield asked, allowed
    allowed.set()


def test_a_stop_while_the_memory_is_estimated_ends_the_run_at_once(lab, slow_estimate):
    asked, _ = slow_estimate
    run_id = lab.start(LONG).run_id
    assert asked.wait(60)
    lab.stop()
    assert ended(lab).state == "stopped"
    assert lab.details(run_id)["checkpoints"] == [] and lab.details(run_id)["estimated_bytes"] is None


def test_a_pause_while_the_memory_is_estimated_is_obeyed_and_the_run_judged_before_it_trains(lab, slow_estimate):
    asked, allowed = slow_estimate
    run_id = lab.start(LONG).run_id
    assert asked.wait(60)
    lab.pause()
    until(lambda: lab.last().state == "paused")
    assert lab.last().step == 0 and lab.details(run_id)["estimated_bytes"] is None
    lab.resume()
    allowed.set()
    until(lambda: lab.last().step > 1)
    assert lab.details(run_id)["estimated_bytes"]
    lab.stop()
    assert ended(lab).state == "stopped"


def test_what_exceeds_the_memory_is_refused_also_after_a_pause(lab, slow_estimate, monkeypatch):
    asked, allowed = slow_estimate
    run_id = lab.start(LONG).run_id
    assert asked.wait(60)
    lab.pause()
    until(lambda: lab.last().state == "paused")
    monkeypatch.setattr(memory_check, "refuse_what_exceeds", refuses)
    allowed.set()
    lab.resume()
    assert ended(lab).state == "failed" and lab.last().step == 0
    assert lab.details(run_id)["error"] == "Too large."


def refuses(*args):
    raise NotEnoughMemory("Too large.")


def test_a_closed_lab_leaves_no_thread_and_no_process(lab, monkeypatch):
    monkeypatch.setattr(lab_module, "Estimator", Estimator)  # a process of its own, not that of all tests
    before, children = set(threading.enumerate()), set(psutil.Process().children(recursive=True))
    own = Lab(lab.runs_dir, lab.cache_dir)
    own.warm_up()
    own.start(LONG)
    own.fetching.start("tiny")
    assert own.shutdown(60)
    assert set(threading.enumerate()) <= before
    assert set(psutil.Process().children(recursive=True)) <= children
    with pytest.raises(WrongState, match="is being closed"):
        own.run_queue()


def test_a_stop_while_preparing_ends_the_run_without_a_step(lab):
    run_id = lab.start(LONG).run_id
    lab.stop()
    assert lab.last().state in ("stopping", "stopped")
    assert ended(lab).state == "stopped"
    assert lab.details(run_id)["state"] == "stopped"


def test_stop_saves_and_the_run_can_go_on(lab):
    run_id = started(lab)
    lab.stop()
    assert ended(lab).state == "stopped"
    step = lab.result(run_id)["step"]
    assert lab.details(run_id)["checkpoints"][-1]["step"] == step
    lab.resume(run_id, {"max_steps": step + 3})
    assert ended(lab).step == step + 3


def test_stop_while_paused_and_discard(lab):
    run_id = started(lab)
    lab.pause()
    until(lambda: lab.last().state == "paused")
    lab.stop("discard")
    assert ended(lab).state == "stopped"
    assert [row.run_id for row in lab.trashed()] == [run_id]


def test_save_now_and_sample_now_are_served_between_steps(lab):
    run_id = started(lab)
    lab.save_now()
    lab.sample_now("Hello")
    until(lambda: lab.details(run_id)["checkpoints"])
    until(lambda: any(row["prompt"] == "Hello" for row in lab.samples(run_id).rows))
    lab.stop()
    ended(lab)


def test_commands_without_a_run_or_in_the_wrong_state_are_refused(lab):
    for command in (lab.pause, lab.stop, lab.save_now):
        with pytest.raises(WrongState, match="No run is active"):
            command()
    started(lab)
    with pytest.raises(WrongState, match="running cannot become running"):
        lab.resume()
    with pytest.raises(WrongState, match="is active, so it is not deleted"):
        lab.trash(lab.live().run_id)
    lab.stop()
    ended(lab)


def test_a_request_id_starts_one_run(lab):
    first = lab.start(TINY, request_id="abc")
    assert lab.start(TINY, request_id="abc") == first
    ended(lab)
    assert lab.start(TINY, request_id="abc").run_id == first.run_id
    assert len(lab.rows()) == 1


def test_of_many_concurrent_starts_one_runs_and_the_others_name_it(lab):
    results = []

    def start():
        try:
            results.append(lab.start(LONG).run_id)
        except Busy as error:
            results.append(error)

    threads = [threading.Thread(target=start) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (run_id,) = [r for r in results if isinstance(r, str)]
    assert {r.run_id for r in results if isinstance(r, Busy)} == {run_id}
    assert len(lab.rows()) == 1
    lab.stop()
    ended(lab)


def test_the_queue_goes_on_by_itself_and_waits_for_a_click_after_a_restart(lab):
    first = started(lab)
    second, third = lab.start(TINY, queue=True), lab.start(TINY, queue=True)
    assert (second.position, third.position) == (1, 2) and lab.queued() == [second.run_id, third.run_id]
    assert {row.run_id: row.state for row in lab.rows()}[second.run_id] == "queued"
    restarted = Lab(lab.runs_dir, lab.cache_dir)
    assert restarted.queued() == [second.run_id, third.run_id] and restarted.live() is None
    lab.stop(run_id=third.run_id)
    assert lab.queued() == [second.run_id] and lab.details(third.run_id)["state"] == "stopped"
    lab.stop()
    until(lambda: lab.details(second.run_id)["state"] == "completed")
    assert lab.details(first)["state"] == "stopped" and lab.queued() == []


def test_a_queued_run_that_cannot_start_ends_with_the_reason_and_holds_up_nobody(lab):
    parent = run(lab)
    started(lab)
    fork = lab.start({**TINY, "resume_from": parent}, queue=True).run_id
    damaged, whole = (lab.start(TINY, queue=True).run_id for _ in range(2))
    for path in checkpoint_files(lab, parent):
        path.unlink() if path.is_file() else None
    (lab.runs_dir / damaged / "run.json").write_text("{")
    lab.stop()
    until(lambda: lab.details(whole)["state"] == "completed")
    assert lab.details(fork)["state"] == "failed" and "checkpoint" in lab.details(fork)["error"]
    until(lambda: lab.live() is None)
    assert lab.start(TINY).run_id, "the trainer is free"
    ended(lab)


def test_a_run_that_just_gets_its_turn_is_not_deleted(lab, monkeypatch):
    started(lab)
    waiting = lab.start(LONG, queue=True).run_id
    popped, tried = threading.Event(), threading.Event()

    def take_out(self, run_id):
        found = original(self, run_id)
        popped.set()
        tried.wait(0.2)  # time for a deletion to slip in
        return found

    original = RunQueue.remove
    monkeypatch.setattr(RunQueue, "remove", take_out)
    lab.stop()
    assert popped.wait(60)
    with pytest.raises(WrongState, match="is active, so it is not deleted"):
        lab.trash(waiting)
    tried.set()
    until(lambda: lab.last().run_id == waiting and lab.last().state == "running")


def test_a_second_process_is_told_who_trains(lab):
    run_id = started(lab)
    other = Lab(lab.runs_dir, lab.cache_dir)
    with pytest.raises(Busy) as caught:
        other.start(TINY)
    assert run_id in str(caught.value)
    lab.stop()
    ended(lab)
    assert other.run_here(TINY, control=Control())


def test_a_run_whose_process_was_killed_is_interrupted_and_says_from_where_it_goes_on(lab):
    code = textwrap.dedent(
        """
        import json, sys
        from pathlib import Path
        from llm_testing.jobs.control import Control
        from llm_testing.service.lab import Lab
        Lab(Path(sys.argv[1]), Path(sys.argv[2])).run_here(json.loads(sys.argv[3]), control=Control())
        """
    )
    values = json.dumps({**LONG, "save_every": 5, "threads": 1})
    process = subprocess.Popen([sys.executable, "-c", code, str(lab.runs_dir), str(lab.cache_dir), values])
    try:
        until(lambda: lab.rows() and lab.rows()[0].resumable_step or process.poll() is not None)
        assert lab.rows()[0].state == "running"
    finally:
        process.kill()
        process.wait()
    (row,) = lab.rows()
    assert row.state == "interrupted" and row.resumable_step >= 5
    lab.resume(row.run_id, {"max_steps": row.resumable_step + 200})
    until(lambda: lab.last().state == "running" and lab.last().step > row.resumable_step)
    lab.stop()
    assert ended(lab).state == "stopped"


def test_shutdown_saves_the_run_as_interrupted(lab):
    run_id = started(lab)
    assert lab.shutdown(30)
    assert lab.details(run_id)["state"] == "interrupted"
    assert lab.details(run_id)["checkpoints"]
    with pytest.raises(WrongState, match="is being closed"):
        lab.start(TINY)


def test_out_of_memory_frees_everything_and_says_what_to_change(lab, monkeypatch):

    original = step.loss_sum
    calls = []

    def no_memory(*args):
        calls.append(1)
        if len(calls) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return original(*args)

    monkeypatch.setattr(step, "loss_sum", no_memory)
    run_id = run(lab)
    details = lab.details(run_id)
    assert details["state"] == "failed" and "batch_size 1 with grad_accum_steps 2" in details["error"]
    assert "Tried to allocate" in lab.last().error.traceback
    monkeypatch.setattr(step, "loss_sum", original)
    assert lab.details(run(lab))["state"] == "completed"


def test_a_model_that_cannot_fit_the_memory_is_refused(lab, monkeypatch):

    monkeypatch.setattr(estimates, "usable_memory_bytes", lambda: MemoryFacts(10_000, 10_000, "test"))
    run_id = run(lab)
    assert "needs 0.0 GiB" in lab.details(run_id)["error"] and lab.details(run_id)["state"] == "failed"


def test_a_diverging_run_is_caught_and_keeps_its_last_checkpoint(lab, monkeypatch):

    original = TrainingStep.update

    def poisoned(self, lr):
        if self.optimizer.state and next(iter(self.optimizer.state.values()))["step"] >= 4:
            next(p for p in self.model.parameters()).grad.fill_(float("nan"))
        original(self, lr)

    monkeypatch.setattr(TrainingStep, "update", poisoned)
    run_id = run(lab, save_every=1)
    assert "not a finite number at step 5" in lab.details(run_id)["error"]
    assert lab.details(run_id)["checkpoints"][-1]["step"] == 4
    monkeypatch.undo()
    assert lab.resume_here(run_id, {}, control=Control()) and lab.details(run_id)["state"] == "completed"
