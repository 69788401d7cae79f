import itertools

import pytest

from llm_testing.errors import WrongState
from llm_testing.jobs.states import ACTIVE, TERMINAL, TRANSITIONS, RunState, check_transition, earlier_word


def test_every_state_is_queued_active_or_terminal_and_has_transitions():
    assert {RunState.QUEUED} | ACTIVE | TERMINAL == set(RunState)
    assert not ACTIVE & TERMINAL
    assert set(TRANSITIONS) == set(RunState)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RunState, RunState)))
def test_only_what_the_table_allows_may_follow(old, new):
    if new in TRANSITIONS[old]:
        assert check_transition(str(old), str(new)) is new
        return
    with pytest.raises(WrongState, match=f"A run that is {old} cannot become {new}. It can become ") as caught:
        check_transition(old, new)
    assert caught.value.state == old


def test_from_any_active_state_a_run_can_fail_be_interrupted_or_be_stopped():
    for state in ACTIVE:
        assert {RunState.FAILED, RunState.INTERRUPTED} <= TRANSITIONS[state]
        assert RunState.STOPPING in TRANSITIONS[state] | {state}


def test_an_ended_run_only_starts_again():
    for state in TERMINAL:
        assert TRANSITIONS[state] == {RunState.QUEUED, RunState.STARTING}


def test_the_earlier_words():
    words = {state: earlier_word(state) for state in RunState}
    assert earlier_word(None) == "idle"
    assert words == {
        "queued": "idle",
        "starting": "loading",
        "running": "running",
        "pausing": "running",
        "stopping": "running",
        "paused": "paused",
        "completed": "completed",
        "stopped": "completed",
        "failed": "error",
        "interrupted": "error",
    }
