"""The states of a run, and the one table of what may follow what.

queued -> starting -> running <-> pausing -> paused -> running
             any of these -> stopping -> stopped
             any of these -> completed, failed or interrupted
completed, stopped, failed, interrupted -> queued or starting      (resume and extend)
"""

from enum import StrEnum

from llm_testing.errors import WrongState


class RunState(StrEnum):
    """What a run is doing, or how it ended."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


_S = RunState
ACTIVE = frozenset({_S.STARTING, _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.STOPPING})
"""A process holds the trainer for such a run."""

TERMINAL = frozenset({_S.COMPLETED, _S.STOPPED, _S.FAILED, _S.INTERRUPTED})
"""Nothing more happens to such a run unless somebody resumes it."""

_ENDS = frozenset({_S.COMPLETED, _S.FAILED, _S.INTERRUPTED})
_AGAIN = frozenset({_S.QUEUED, _S.STARTING})

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.STOPPED, _S.FAILED}),
    _S.STARTING: _ENDS | {_S.RUNNING, _S.STOPPING},
    _S.RUNNING: _ENDS | {_S.PAUSING, _S.STOPPING},
    # A run that is asked to pause may reach its last step, or be asked to go on, before it has paused.
    _S.PAUSING: _ENDS | {_S.PAUSED, _S.RUNNING, _S.STOPPING},
    _S.PAUSED: _ENDS - {_S.COMPLETED} | {_S.RUNNING, _S.STOPPING},
    _S.STOPPING: _ENDS | {_S.STOPPED},
    _S.COMPLETED: _AGAIN,
    _S.STOPPED: _AGAIN,
    _S.FAILED: _AGAIN,
    _S.INTERRUPTED: _AGAIN,
}

_EARLIER_WORDS: dict[RunState, str] = {
    _S.QUEUED: "idle",
    _S.STARTING: "loading",
    _S.RUNNING: "running",
    _S.PAUSING: "running",
    _S.STOPPING: "running",
    _S.PAUSED: "paused",
    _S.COMPLETED: "completed",
    _S.STOPPED: "completed",
    _S.FAILED: "error",
    _S.INTERRUPTED: "error",
}


def check_transition(old: str, new: str) -> RunState:
    """Return new as a RunState if it may follow old.

    Raises:
        WrongState: naming both, and what may follow old.
    """
    allowed = TRANSITIONS[RunState(old)]
    if RunState(new) not in allowed:
        raise WrongState(
            f"A run that is {old} cannot become {new}. It can become {_in_words(allowed)}.", state=str(RunState(old))
        )
    return RunState(new)


def earlier_word(state: str | None) -> str:
    """One of the six words of the earlier API: idle, loading, running, paused, completed, error. None is no run."""
    return "idle" if state is None else _EARLIER_WORDS[RunState(state)]


def _in_words(states: frozenset[RunState]) -> str:
    return ", ".join(state for state in RunState if state in states)
