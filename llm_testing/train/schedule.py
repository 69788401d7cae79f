"""The learning rate as a pure function of step and length of the run, so that resume and extend need no state."""

import math

from llm_testing.config.recipe import Recipe


def lr_at(step: int, total_steps: int, config: Recipe) -> float:
    """Learning rate of update number `step`, counted from 1 to total_steps.

    It rises in a line to the peak over the warm-up, then follows lr_schedule down to min_lr_ratio of the peak at
    the last step.
    """
    peak = config.learning_rate
    warmup_steps = config.warmup(total_steps)
    if step <= warmup_steps:
        return peak * step / warmup_steps
    if config.lr_schedule == "constant":
        return peak
    progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
    progress = min(max(progress, 0.0), 1.0)
    share = 0.5 * (1 + math.cos(math.pi * progress)) if config.lr_schedule == "cosine" else 1 - progress
    return peak * (config.min_lr_ratio + (1 - config.min_lr_ratio) * share)
