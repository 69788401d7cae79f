"""A public demo's one run: anybody may queue it, nobody chooses what it costs."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llm_testing.errors import Busy, ConfigError, NotFound, Problem, WrongState
from llm_testing.jobs.states import ACTIVE, RunState
from llm_testing.service.views import Started

if TYPE_CHECKING:
    from llm_testing.service.lab import Lab

NAME = "Public demo"
MOST_S = 180.0
VALUES = {
    "name": NAME,
    "config_name": "nano",
    "corpus": "python-docs",
    "tokenizer": "bpe",
    "attention_impl": "sdpa",
    "context_length": 128,
    "batch_size": 8,
    "max_steps": 2000,
    "sample_tokens": 48,
}
_FREE = ("preset", "queue", "request_id")
_LOOK_EVERY_S = 0.5


def start_demo(lab: "Lab", values: dict[str, Any], most_s: float = MOST_S) -> Started:
    """Start or queue the demo's run; it is stopped and saved after most_s.

    Args:
        values: what was asked for beside it: any option is refused, since it would change what the run costs.

    Raises:
        ConfigError: naming each option that was given.
        Busy: while there is such a run already.
    """
    problems = [
        Problem(name, f"This is a public demo: its run has fixed options, so leave {name} out.")
        for name, value in values.items()
        if name not in _FREE and VALUES.get(name) != value
    ]
    if problems:
        raise ConfigError(problems)
    with lab.demo_turn:  # of two that ask at once, one finds the other's run
        rows = (row for row in lab.rows() if row.name == NAME)
        busy = next((row for row in rows if row.state in {*ACTIVE, RunState.QUEUED}), None)
        if busy:
            raise Busy(f"Run {busy.run_id} is {busy.state}: one run at a time in this demo.", busy.run_id, busy.state)
        begun = lab.start(VALUES, queue=True)
    lab.crew.start(f"clock of {begun.run_id}", lambda: _stop_in_time(lab, begun.run_id, most_s))
    return begun


def _stop_in_time(lab: "Lab", run_id: str, most_s: float) -> None:
    """Wait for the run's turn, and stop it when its time is over."""
    since = None
    while not lab.crew.closing.is_set():
        live = lab.live()
        here = live is not None and live.run_id == run_id
        if here and since is None:
            since = time.monotonic()
        if since is not None and not here or not here and run_id not in lab.queued():
            return
        if since is not None and time.monotonic() - since > most_s:
            with suppress(WrongState, NotFound):
                lab.stop("save", run_id)
            return
        lab.crew.closing.wait(_LOOK_EVERY_S)
