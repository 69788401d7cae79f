"""Whether a run fits, before it trains: refused at once where that is certain, else once its step is estimated."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from llm_testing.jobs.progress import Progress
from llm_testing.service.checks import refuse_what_exceeds
from llm_testing.service.estimates import NoEstimate
from llm_testing.service.ready import Ready
from llm_testing.train.session import Surroundings

if TYPE_CHECKING:
    from llm_testing.service.job import Job


def ask_memory(job: Job, place: Surroundings, ready: Ready) -> Future | None:
    """Refuse what cannot fit, and have it estimated what the step takes; None where nothing estimates it."""
    if place.device.type == "mps":
        return None
    budget = job.estimates.where_it_runs(str(place.device), ready.held_bytes)
    if budget.device == "cpu":
        # Certain without a trace, and at once.
        ready.refuse(budget.free_bytes)
    if ready.estimate is None:
        return None
    job.progress(Progress("estimating the memory"))
    return job.estimates.ask(lambda: ready.estimate(budget))


def judge_memory(job: Job, answer: Future | None, through_pause: bool) -> Future | None:
    """Wait for the estimate, write it down and refuse what exceeds the memory; the answer where it is still to come.

    A stop ends the wait. So does a pause, unless through_pause: nothing is trained before the run goes on, and then it
    is judged.
    """
    if answer is None or not job.control.wait_for(answer, through_pause):
        return answer
    try:
        estimate = answer.result()
    except NoEstimate as error:
        job.warn(str(error))
        return None
    job.update(estimated_bytes=estimate.allocated_bytes, estimate=estimate.as_record())
    refuse_what_exceeds(estimate, job.config, job.force)
    return None
