import threading

import pytest

from llm_testing.errors import BadRunId, NotFound
from llm_testing.jobs.queue import RunQueue

A, B, C = (f"20261123-101500-aaa{end}" for end in "abc")


@pytest.fixture
def queue(tmp_path):
    return RunQueue(tmp_path / "runs")


def test_runs_leave_in_the_order_they_came_also_after_a_restart(queue, tmp_path):
    assert queue.ids() == []
    assert [queue.add(run_id) for run_id in (A, B, C)] == [0, 1, 2]
    assert queue.add(B) == 1
    again = RunQueue(tmp_path / "runs")
    assert again.ids() == [A, B, C]
    assert [again.remove(run_id) for run_id in again.ids()] == [True] * 3 and again.ids() == []
    assert queue.ids() == []
    assert queue.damaged is None


def test_runs_can_be_moved_and_taken_out(queue):
    for run_id in (A, B, C):
        queue.add(run_id)
    assert queue.move(C, 0) == 0
    assert queue.move(A, 99) == 2
    assert queue.move(B, -5) == 0
    assert queue.ids() == [B, C, A]
    assert queue.remove(C)
    assert not queue.remove(C)
    assert queue.ids() == [B, A]
    with pytest.raises(NotFound, match=f"Run {C} is not in the queue"):
        queue.move(C, 0)
    with pytest.raises(BadRunId):
        queue.add("../x")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"run_ids": 7}', '{"run_ids": ["../x"]}', '{"run_ids": [[]]}'])
def test_a_damaged_queue_goes_on_empty_says_so_and_is_kept(queue, content, tmp_path):
    queue.add(A)
    path = tmp_path / "runs" / "queue.json"
    path.write_text(content)
    assert queue.ids() == []
    assert "The queue was damaged and is empty now: " in queue.damaged
    assert queue.add(B) == 0
    assert queue.add(C) == 1
    assert queue.ids() == [B, C]
    assert path.with_name("queue.json.damaged").read_text() == content


def test_threads_and_objects_that_share_a_queue_lose_nothing(tmp_path):
    ids = [f"20261123-1015{i:02}-aaaa" for i in range(40)]
    queues = [RunQueue(tmp_path) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda at=at: [queues[at].add(run_id) for run_id in ids[at::4]]) for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(queues[0].ids()) == ids
