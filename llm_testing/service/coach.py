"""The coach: rules that look at a run's curve and say in plain words what is going wrong, where, and what to do.

Each finding names the stretch of steps that shows it, so that a chart can shade it, and one thing to do. A rule stays
silent unless its evidence is plain: a coach that cries wolf is switched off.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llm_testing.store.columns import Columns

GIB = 2**30
FEWEST_ROWS = 12
"""Shorter curves say nothing."""
DIVERGED_NATS, DIVERGED_SHARE = 0.5, 1.15
"""The loss counts as diverged when its median has risen by both over its lowest."""
FLAT_SHARE = 0.003
"""A plateau: the last third has improved the best loss by less than this share."""
OVERFIT_SHARE, OVERFIT_POINTS = 1.02, 3
"""Overfitting: validation stands this far above its best for so many looks while training goes on falling."""
SPIKE_TIMES, SPIKE_WINDOW = 8.0, 50
"""A gradient spike: so many times the median of as many rows around it."""
NEAR_LIMIT = 0.92
"""Share of the memory there is."""

MOST_MEDIANS = 1000
"""Of one history; they change slowly, and of a long one each takes thousands of values."""


@dataclass(frozen=True)
class Finding:
    """What the coach has to say about one thing.

    Args:
        rule: nonfinite, divergence, plateau, overfitting, spikes or memory.
        severity: "problem" or "hint".
        series: the column that shows it.
        from_step, to_step: the stretch to shade.
        regions: where it is more than one stretch, all of them: ((from, to), ...).
        title, why: what was seen, in a few words and in a sentence with figures.
        action, label: the one thing to do: fork (with `changes` from checkpoint `step`), stop, or estimate.
    """

    rule: str
    severity: str
    series: str
    from_step: int
    to_step: int
    title: str
    why: str
    action: str
    label: str
    changes: dict[str, Any] = field(default_factory=dict)
    step: int | None = None
    regions: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Seen:
    """What the rules look at.

    Args:
        record: the run's record, with its effective state.
        memory_bytes: what the run may use at most, or None.
        checkpoints: steps that can be forked from.
    """

    curve: Columns
    record: dict[str, Any]
    memory_bytes: int | None
    checkpoints: tuple[int, ...]

    def column(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of the rows that have a value; step 0, before any training, is left out."""
        steps, values = self.curve.column("step"), self.curve.column(name)
        known = ~np.isnan(values) & (steps > 0)
        return steps[known], values[known]

    @property
    def goes_on(self) -> bool:
        """Whether the run is being trained."""
        return self.record["state"] in ("running", "paused", "pausing")

    def checkpoint_before(self, step: float) -> int | None:
        """The newest checkpoint up to a step."""
        return max((at for at in self.checkpoints if at <= step), default=None)

    def halved_rate(self) -> dict[str, Any]:
        """The change that most often helps."""
        rate = self.record["config"].get("learning_rate")
        return {"learning_rate": float(f"{rate / 2:.3g}")} if isinstance(rate, int | float) else {}


def findings(seen: Seen) -> list[Finding]:
    """What every rule has to say, problems first."""
    found = [finding for rule in RULES for finding in rule(seen)]
    return sorted(found, key=lambda finding: finding.severity != "problem")


def nonfinite(seen: Seen) -> Iterator[Finding]:
    """A loss that is no number: the run ended with it, or rows of it are missing."""
    steps = seen.curve.column("step")
    gaps = steps[np.isnan(seen.curve.column("train_loss")) & (steps > 0)]
    error = seen.record.get("error")
    said = "not a finite number" in str(error) or "overflowed fp16" in str(error)
    if not said and not len(gaps):
        return
    at = int(gaps[0]) if len(gaps) else int(steps[-1]) if len(steps) else 0
    end = int(gaps[-1]) if len(gaps) else at
    half = seen.record["config"].get("precision") == "fp16"
    why = f"From step {at:,} on the loss or a gradient is no finite number" + (
        ": fp16 holds nothing above 65,504." if half else "; a learning rate that is too high does that."
    )
    changes = {"precision": "bf16"} if half else seen.halved_rate()
    yield _fork(seen, "nonfinite", "train_loss", at, end, "The loss stopped being a number", why, changes)


def divergence(seen: Seen) -> Iterator[Finding]:
    """The training loss climbs away from where it was."""
    steps, losses = seen.column("train_loss")
    if len(losses) < FEWEST_ROWS:
        return
    window = max(3, len(losses) // 25)
    smooth = _medians(losses, window)
    low = int(np.argmin(smooth))
    best, now = float(smooth[low]), float(smooth[-1])
    if now < best + DIVERGED_NATS or now < best * DIVERGED_SHARE:
        return
    start = min(low + window, len(steps) - 1)
    why = (
        f"The training loss was {best:.2f} around step {int(steps[low]):,} and is {now:.2f} now: it has lost what it "
        "had learned. The learning rate is too high for this model."
    )
    yield _fork(
        seen, "divergence", "train_loss", int(steps[start]), int(steps[-1]), "The loss is climbing", why,
        seen.halved_rate(), before=float(steps[low]),
    )  # fmt: skip


def plateau(seen: Seen) -> Iterator[Finding]:
    """Nothing has got better for the last third of the run, though the learning rate would allow it."""
    steps, losses = seen.column("val_loss")
    name = "val_loss"
    if len(losses) < FEWEST_ROWS:
        steps, raw = seen.column("train_loss")
        name = "train_loss"
        if len(raw) < 5 * FEWEST_ROWS:
            return
        losses = _medians(raw, max(5, len(raw) // 20))
        steps = steps[: len(losses)]
    third = len(losses) * 2 // 3
    before, after = float(losses[:third].min()), float(losses[third:].min())
    _, rates = seen.column("lr")
    live_rate = len(rates) and rates[-1] > 0.2 * rates.max()
    rising = float(np.median(losses[third:])) > before * OVERFIT_SHARE
    if before - after > FLAT_SHARE * before or not live_rate or rising:
        return
    why = (
        f"Since step {int(steps[third]):,} the best loss has gone from {before:.3f} to {min(before, after):.3f}, "
        f"less than {FLAT_SHARE:.1%}. More steps like these will hardly help: lower the learning rate, or take a "
        "larger model or more text."
    )
    where = ("plateau", name, int(steps[third]), int(steps[-1]), "Nothing improves any more", why)
    if seen.goes_on:
        yield Finding(where[0], "hint", *where[1:], action="stop", label="Stop and save")
    else:
        yield _fork(seen, *where, seen.halved_rate(), severity="hint")


def overfitting(seen: Seen) -> Iterator[Finding]:
    """Validation gets worse while training gets better: the model learns its text by heart."""
    steps, losses = seen.column("val_loss")
    if len(losses) < OVERFIT_POINTS + 2:
        return
    low = int(np.argmin(losses))
    after = losses[low + 1 :]
    if len(after) < OVERFIT_POINTS or (after[-OVERFIT_POINTS:] < losses[low] * OVERFIT_SHARE).any():
        return
    # Of many noisy looks the lowest was lucky: those around it say what the model was really like then.
    if np.median(after[-OVERFIT_POINTS:]) < _near(steps, losses, steps[low]) * OVERFIT_SHARE:
        return
    at, train = seen.column("train_loss")
    then, now = _near(at, train, steps[low]), _near(at, train, at[-1])
    if then is None or now is None or now > then * (1 - FLAT_SHARE):
        return
    why = (
        f"Validation was best at step {int(steps[low]):,} ({losses[low]:.3f}) and is {losses[-1]:.3f} now, while the "
        f"training loss went on from {then:.3f} to {now:.3f}: the model learns its text by heart."
    )
    config = seen.record["config"]
    changes: dict[str, Any] = {"patience": 3}
    if seen.record["kind"] == "pretrain":
        changes["dropout"] = max(0.2, config.get("dropout") or 0.0)
    yield _fork(
        seen, "overfitting", "val_loss", int(steps[low]), int(steps[-1]), "It learns its text by heart", why, changes,
        before=float(steps[low]),
    )  # fmt: skip


def spikes(seen: Seen) -> Iterator[Finding]:
    """Single gradients far above the others around them."""
    steps, norms = seen.column("grad_norm")
    if len(norms) < FEWEST_ROWS:
        return
    usual = _medians_around(norms, SPIKE_WINDOW)
    warm = seen.record["config"].get("warmup_steps")
    early = min(warm if isinstance(warm, int) else 0, int(steps[-1]) // 5)
    high = np.flatnonzero((norms > SPIKE_TIMES * usual) & (usual > 0) & (steps > max(early, 3)))
    if not len(high):
        return
    worst = int(high[np.argmax(norms[high] / usual[high])])
    regions = _stretches(steps, high)
    times = f"{len(high):,} times" if len(high) > 1 else "once"
    why = (
        f"The gradient was {norms[worst] / usual[worst]:.0f} times its usual {usual[worst]:.2g} at step "
        f"{int(steps[worst]):,}, and stood out {times}. Clipping took the force out of it; a lower grad_clip or a "
        "longer warm-up makes such steps rarer."
    )
    clip = seen.record["config"].get("grad_clip")
    changes = {"grad_clip": float(f"{clip / 2:.3g}")} if isinstance(clip, int | float) and clip > 0 else {}
    first, last = next(region for region in regions if region[0] <= steps[worst] <= region[1])
    yield _fork(
        seen, "spikes", "grad_norm", first, last, "Gradient spikes", why, changes, severity="hint", regions=regions
    )


def memory(seen: Seen) -> Iterator[Finding]:
    """The run takes nearly all the memory there is."""
    steps, taken = seen.column("peak_bytes")
    if not len(taken) or not seen.memory_bytes:
        return
    share = float(taken.max()) / seen.memory_bytes
    if share < NEAR_LIMIT:
        return
    first = int(steps[np.argmax(taken >= NEAR_LIMIT * seen.memory_bytes)])
    why = (
        f"At its peak it takes {taken.max() / GIB:.1f} of {seen.memory_bytes / GIB:.1f} GiB, {share:.0%}: a longer "
        "sample or another program may end it."
    )
    yield Finding(
        "memory", "problem", "peak_bytes", first, int(steps[-1]), "Memory is nearly full", why,
        action="estimate", label="Find settings that fit", changes=_smaller(seen.record["config"]),
    )  # fmt: skip


RULES: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    nonfinite, divergence, overfitting, memory, spikes, plateau,
)  # fmt: skip


def _fork(
    seen: Seen,
    rule: str,
    series: str,
    first: int,
    last: int,
    title: str,
    why: str,
    changes: dict[str, Any],
    before: float | None = None,
    severity: str = "problem",
    regions: tuple[tuple[int, int], ...] = (),
) -> Finding:
    """A finding whose cure is to go on from an earlier checkpoint with something changed."""
    step = seen.checkpoint_before(first if before is None else before)
    change = ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in
                       changes.items())  # fmt: skip
    label = f"Fork from step {step:,} with {change}" if step is not None else f"Start again with {change}"
    action = "fork" if step is not None else "start"
    return Finding(rule, severity, series, first, last, title, why, action, label, changes, step, regions)


def _smaller(config: dict[str, Any]) -> dict[str, Any]:
    """Half the micro-batch and twice the accumulation: the same update in less memory."""
    batch = config.get("batch_size")
    accumulation = "gradient_accumulation" if "model_name" in config else "grad_accum_steps"
    steps = config.get(accumulation)
    if isinstance(batch, int) and isinstance(steps, int) and batch > 1 and batch % 2 == 0:
        return {"batch_size": batch // 2, accumulation: steps * 2}
    checkpointing = "use_gradient_checkpointing" if "model_name" in config else "gradient_checkpointing"
    return {checkpointing: True}


def _medians(values: np.ndarray, window: int) -> np.ndarray:
    """The median of every `window` values in a row, (len - window + 1,); of long histories some, and lines between."""
    views = np.lib.stride_tricks.sliding_window_view(values, window)
    at = np.append(np.arange(0, len(views) - 1, max(1, len(views) // MOST_MEDIANS)), len(views) - 1)
    return np.interp(np.arange(len(views)), at, np.median(views[at], axis=1))


def _medians_around(values: np.ndarray, window: int) -> np.ndarray:
    """The median of the window around each value; of a history that is shorter, of all of it."""
    if len(values) <= window:
        return np.full(len(values), np.median(values))
    medians = _medians(values, window)
    return np.interp(np.arange(len(values)), np.arange(len(medians)) + window // 2, medians)


def _near(steps: np.ndarray, values: np.ndarray, step: float) -> float | None:
    """The median of the values around a step."""
    if not len(values):
        return None
    at = int(np.searchsorted(steps, step))
    half = max(2, len(values) // 40)
    return float(np.median(values[max(0, at - half) : at + half + 1]))


def _stretches(steps: np.ndarray, rows: np.ndarray, most: int = 20) -> tuple[tuple[int, int], ...]:
    """Rows that stand close together as stretches of steps, one row wider at either side; the first few."""
    near = max(5, len(steps) // 100)
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > near) + 1)
    last = len(steps) - 1
    return tuple((int(steps[max(0, group[0] - 1)]), int(steps[min(last, group[-1] + 1)])) for group in groups[:most])
