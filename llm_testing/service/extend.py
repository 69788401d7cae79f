"""What another length does to a run that goes on: the schedule is a function of it, so the learning rate may jump."""

from llm_testing.config.recipe import Recipe
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
