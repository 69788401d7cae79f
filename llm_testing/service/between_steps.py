"""Work that would disturb a training step, done by the trainer's own thread between two steps.

transformers changes torch's default number format while it loads a model, and peft draws from the global random state:
in another thread, beside a step, either would change what is being trained.
"""

from collections.abc import Callable
from concurrent.futures import TimeoutError as WaitedTooLong
from typing import Any

from llm_testing.errors import Busy, WrongState
from llm_testing.service.job import Job
from llm_testing.service.playground import COPY_WITHIN_S


def between_steps(job: Job | None, work: Callable[[], Any]) -> Any:
    """What work gives; without an active run, and in its own thread, it is done at once, here.

    Raises:
        Busy: the run has no end of a step in sight.
    """
    if job is None or job.is_executed_here():
        return work()
    begun = False

    def in_its_turn(live: Any) -> Any:
        nonlocal begun
        begun = True
        return work()

    try:
        return ordered(job, in_its_turn)
    except WrongState as error:
        if begun or isinstance(error, Busy):
            raise
        return work()  # the run ended before its turn came


def ordered(job: Job, work: Callable[[Any], Any]) -> Any:
    """What the trainer's thread gives of work that it does between two steps.

    Raises:
        Busy: the run has no end of a step in sight.
        WrongState: it ended before.
    """
    view = job.board.view()
    if view.state == "starting":
        doing = view.phase or "starting"
        raise Busy(f"Run {view.run_id} is about to start: {doing}. Try again in a moment.", view.run_id, view.state)
    order = job.control.submit(work)
    try:
        return order.result(COPY_WITHIN_S)
    except WaitedTooLong:
        if order.cancel():
            raise Busy(
                f"Run {view.run_id} has not come to the end of a step for {COPY_WITHIN_S:.0f} seconds. Try again in a "
                "moment.", view.run_id, view.state,
            ) from None  # fmt: skip
        return order.result()  # it has begun: reading a large model takes its time
