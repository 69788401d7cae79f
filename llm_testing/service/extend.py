"""What another length does to a run that goes on: the schedule is a function of it, so the learning rate may jump."""

from llm_testing.config.option import Options
from llm_testing.config.recipe import Recipe
from llm_testing.errors import DamagedRun, WrongState
from llm_testing.jobs.states import RunState
from llm_testing.service.kinds import config_of
from llm_testing.store.run_folder import RunFolder
from llm_testing.train.schedule import lr_at


def jump_in_words(folder: RunFolder, config: Recipe, step: int, total: int) -> tuple[str, ...]:
    """How a changed total moves the learning rate at a step; nothing where it does not."""
    before = folder.checkpoints.get(step).facts.get("total_steps")
    if not isinstance(before, int) or before == total:
        return ()
    old, new = lr_at(min(step + 1, before), before, config), lr_at(step + 1, total, config)
    return (
        f"The run's length changes from {before:,} to {total:,} steps, and with it the schedule: the learning "
        f"rate goes from {old:.3g} to {new:.3g} at step {step:,}.",
    )


def refuse_finished(run_id: str, config: Options, record: dict, step: int) -> None:
    """Refuse to resume a completed run that is not to become longer.

    Raises:
        WrongState: saying how it is extended.
    """
    total = config.max_steps or (record["summary"].get("total_steps") or 0)
    if not config.max_steps and config.epochs > config_of(record).epochs:
        return
    if total <= step:
        raise WrongState(
            f"Run {run_id} is completed: it did all of its {step:,} steps. To extend it give a larger total, "
            f"max_steps above {step}.", run_id, RunState.COMPLETED)  # fmt: skip


def refuse_damaged(folder: RunFolder) -> None:
    """Refuse to begin a run anew of which something was saved that cannot be read.

    Raises:
        DamagedRun: naming what is wrong with its newest checkpoint.
    """
    infos = folder.checkpoints.list()
    if infos:
        steps = ", ".join(f"{info.step:,}" for info in infos)
        why = infos[-1].damaged or f"{infos[-1].path} has changed since it was saved."
        raise DamagedRun(
            f"None of the checkpoints of run {folder.run_id} (step {steps}) can be used. {why} Once that is mended the "
            "run goes on; without them it begins anew."
        )
