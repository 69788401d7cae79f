import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from llm_testing.estimate.worker import TraceFailed, Worker
from tests.estimate.parts import config, job
from tests.service.parts import until


def test_a_worker_that_was_killed_is_replaced():
    with Worker() as worker:
        first = worker.trace(job(config()))
        pid = worker.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: worker.pid != pid)
        again = worker.trace(job(config()))
        assert worker.pid != pid
        assert (again.num_bytes == first.num_bytes).all()


def test_a_trace_that_takes_too_long_ends_the_process_and_says_so():
    with Worker(timeout_s=0.05) as worker:
        with pytest.raises(TraceFailed, match="ended without an answer"):
            worker.trace(job(config()))
        assert worker.pid is None


def test_what_cannot_be_traced_is_told_in_one_line_and_the_process_lives_on(worker):
    with pytest.raises(TraceFailed) as told:
        worker.trace("no job")
    assert "\n" not in str(told.value)
    pid = worker.pid
    worker.trace(job(config()))
    assert worker.pid == pid


def test_questions_from_several_threads_get_their_own_answers(worker):
    depths = [1, 2, 3, 4] * 2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: worker.trace(job(config(), num_layers=n)).num_layers, depths))
    assert found == depths


def test_closing_ends_the_process():
    worker = Worker()
    worker.trace(job(config(n_layer=1)))
    assert worker.pid
    worker.close()
    assert worker.pid is None
    worker.close()


def test_closing_gives_up_what_is_being_traced_and_nothing_starts_afterwards():
    worker = Worker()
    with ThreadPoolExecutor(1) as pool:
        # Its first answer takes seconds, as torch is imported.
        answer = pool.submit(worker.trace, job(config()))
        until(lambda: worker.pid)
        pid = worker.pid
        worker.close()
        with pytest.raises(TraceFailed, match="is ending"):
            answer.result(60)
    assert not psutil.pid_exists(pid)
    with pytest.raises(TraceFailed, match="is ending"):
        worker.trace(job(config()))
    assert worker.pid is None


class Slow(Worker):
    """A worker whose first job takes until it is let go, and that writes down in which order it was asked."""

    def __init__(self):
        super().__init__()
        self.go, self.order = threading.Event(), []

    def _ask(self, job):
        self.order.append(job)
        if job == "first":
            self.go.wait(60)
        return "done", job


def test_what_somebody_waits_for_comes_before_what_is_traced_in_advance():
    worker = Slow()

    def waiting(count):
        until(lambda: len(worker._turns._waiters) >= count)

    with ThreadPoolExecutor(3) as pool:
        pool.submit(worker.trace, "first")
        until(lambda: worker.order)
        pool.submit(worker.trace, "in advance", background=True)
        waiting(1)
        pool.submit(worker.trace, "urgent")
        waiting(2)
        worker.go.set()
    assert worker.order == ["first", "urgent", "in advance"]
