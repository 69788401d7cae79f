"""Commands in any order against a model of what they may do: no forbidden transition, no deadlock, no loss."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_testing.errors import Busy, ConfigError, NotFound, UserError, WrongState
from llm_testing.jobs.states import ACTIVE, RunState
from llm_testing.service.lab import Lab
from tests.service.parts import TINY, until

LONG = {**TINY, "max_steps": 50_000, "learning_rate": 1e-4, "intermediate_val_freq_steps": 50_000, "sample_every": 0}
SHORT = {**LONG, "max_steps": 3}
NEXT = {
    "queued": {"starting", "stopped", "failed"},
    "starting": {"running", "pausing", "stopping", "paused", "stopped", "completed", "failed"},
    "running": {"pausing", "stopping", "completed", "stopped", "failed"},
    "pausing": {"paused", "running", "stopping", "completed", "stopped"},
    "paused": {"running", "stopping", "stopped"},
    "stopping": {"stopped", "completed", "failed"},
}
"""Which states may follow; from an ended run only resuming leads on, by `starting`."""
NAMES = (
    "start", "start_short", "queue", "pause", "pause", "resume", "resume", "resume_run", "stop", "discard", "delete",
    "restore", "save", "sample", "run_queue", "empty", "stop_queued",
)  # fmt: skip
MOST_RUNS = 8
ENDED = {"completed", "stopped", "failed", "interrupted"}


def test_a_thousand_starts_at_once_are_one_run_and_all_others_name_it(lab):
    gate = threading.Barrier(50)

    def starts(worker: int) -> list[str | Busy]:
        gate.wait()
        said: list[str | Busy] = []
        for _ in range(20):
            try:
                said.append(lab.start(LONG).run_id)
            except Busy as error:
                said.append(error)
        return said

    with ThreadPoolExecutor(50) as pool:
        said = [answer for answers in pool.map(starts, range(50)) for answer in answers]
    begun = [answer for answer in said if isinstance(answer, str)]
    refused = [answer for answer in said if isinstance(answer, Busy)]
    assert len(said) == 1000 and len(begun) == 1 and len(refused) == 999
    assert {error.run_id for error in refused} == set(begun) and all(begun[0] in str(error) for error in refused)
    assert [row.run_id for row in lab.rows()] == begun
    assert lab.shutdown(60)


class Model:
    """What is known of the runs: every state that was seen, and whether it may follow the one before."""

    def __init__(self, lab: Lab):
        self.lab, self.seen, self.deleted = lab, {}, set()

    def look(self, closely: bool) -> None:
        live = self.lab.live()
        if live is not None:
            self.note(live.run_id, live.state)
        if not closely:
            return
        # A list is not read in one instant: a run may end, and the next begin, while it is.
        before, after = self.active(), {row.run_id for row in self.active()}
        active = [row for row in before if row.run_id in after]
        assert len(active) <= 1, f"two runs are active: {active}"
        assert all(row.damaged is None for row in self.lab.rows())

    def active(self) -> list:
        return [row for row in self.lab.rows() if row.state in {str(state) for state in ACTIVE}]

    def note(self, run_id: str, state: str) -> None:
        before = self.seen.get(run_id)
        if before is not None and before != state:
            assert state in reachable(before), f"{run_id} went from {before} to {state}"
        self.seen[run_id] = state


def reachable(state: str) -> set[str]:
    """What may have come since a state was seen; states in between may have been too short to be seen."""
    found, edge = set(), {state}
    while edge:
        edge = {after for one in edge for after in (NEXT.get(one) or ({"starting"} if one in ENDED else set()))} - found
        found |= edge
    return found


def commands(lab: Lab, model: Model, dice: random.Random):
    """One random command; what it may be refused with is a user's error and nothing else."""
    ids = [path.name for path in lab.runs_dir.glob("[0-9]*")]
    some = dice.choice(ids) if ids else "20260101-000000-aaaa"
    live = lab.live()
    name = dice.choice(NAMES if len(ids) < MOST_RUNS else ("delete", "discard", "pause", "resume"))
    if name == "start":
        lab.start(LONG)
    elif name == "start_short":
        lab.start(SHORT)
    elif name == "queue" and len(lab.queued()) < 3:
        lab.start(SHORT, queue=True)
    elif name == "pause":
        lab.pause()
        assert live is not None
    elif name == "resume":
        lab.resume()
    elif name == "resume_run":
        lab.resume(some, {"max_steps": 60_000})
    elif name in ("stop", "discard"):
        lab.stop("save" if name == "stop" else "discard")
    elif name == "stop_queued" and lab.queued():
        lab.stop("save", dice.choice(lab.queued()))
    elif name == "delete":
        lab.trash(some)
        model.deleted.add(some)
        model.seen.pop(some, None)
    elif name == "restore" and model.deleted:
        lab.restore(model.deleted.pop())
    elif name == "save":
        lab.save_now()
    elif name == "sample":
        lab.sample_now("A")
    elif name == "run_queue":
        lab.run_queue()
    elif name == "empty":
        lab.empty_trash()
        model.deleted.clear()
    return name


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.proof), pytest.param(2, marks=pytest.mark.slow)])
def test_a_thousand_random_commands_make_no_illegal_transition_and_no_deadlock(lab, seed):
    dice = random.Random(seed)
    model, done, refused = Model(lab), {}, 0
    for number in range(1000):
        try:
            name = commands(lab, model, dice)
            done[name] = done.get(name, 0) + 1
        except (WrongState, NotFound, ConfigError):
            refused += 1
        model.look(closely=number % 20 == 0)
        if dice.random() < 0.2:
            threading.Event().wait(dice.random() * 0.03)
        if dice.random() < 0.1:  # else most commands would meet a run that is still starting
            until(lambda: (live := lab.live()) is None or live.state in ("running", "paused"), 60)
    assert {"start", "pause", "resume", "stop", "discard", "delete", "queue", "resume_run"} <= set(done), done
    for _ in range(20):
        try:
            lab.stop("save")
        except UserError:
            break
        until(lambda: lab.live() is None or lab.live().state != "stopping", 30)
    assert lab.shutdown(60), "the trainer did not end"
    assert {row.state for row in lab.rows()} <= {*ENDED, str(RunState.QUEUED)}
