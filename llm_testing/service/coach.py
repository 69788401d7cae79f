"""What the curves of a run say, as plain rules: each finding with its evidence and one thing to do.

A rule looks at the rows of metrics.jsonl and at the record, and at nothing else, so it says the same of a live run, of
one that ended, and of one that came from elsewhere. Each is written to stay silent where it is not sure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Literal

Row = dict[str, Any]
FEW = 12
"""Points that a trend needs."""
WORSE, MUCH_WORSE_NATS = 1.1, 0.15
"""A loss has diverged where it stands above its best by this share and by this much."""
STILL = 0.004
"""A share of the loss that it must fall by, over the second half of a run, to count as falling."""
GAP = 0.03
"""How far a validation loss rises above its best before that is more than chance."""
SPIKE = 8.0
"""Times the usual gradient norm."""
NEAR_LIMIT = 0.92


@dataclass(frozen=True)
class Action:
    """One thing to do.

    Args:
        how: again is a new run with changed options, fork one from a checkpoint; None is done by hand.
        changes: the options that differ.
        step: of the checkpoint that a fork begins from; None is the newest.
    """

    title: str
    how: Literal["again", "fork"] | None = None
    changes: dict[str, Any] | None = None
    step: int | None = None


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Args:
        level: bad, warn or note.
        evidence: {"series", "from_step", "to_step"}: where in which curve it is seen.
    """

    rule: str
    level: Literal["bad", "warn", "note"]
    title: str
    text: str
    evidence: dict[str, Any]
    action: Action | None = None


def findings(record: dict, rows: Sequence[Row], memory_limit_bytes: int | None = None) -> list[Finding]:
    """Everything the rules find in a run, the gravest first.

    Args:
        rows: of metrics.jsonl, in order.
        memory_limit_bytes: what the run may use, where its record does not say.
    """
    rows = [row for row in rows if isinstance(row.get("step"), int)]
    if not rows:
        return []
    found = [_non_finite(record, rows) or _diverged(record, rows), _overfits(record, rows), _spikes(record, rows)]
    found += [_near_the_limit(record, rows, memory_limit_bytes)]
    if not any(found[:2]):
        found.append(_plateau(record, rows))
    return sorted(filter(None, found), key=lambda one: ("bad", "warn", "note").index(one.level))


def _non_finite(record: dict, rows: Sequence[Row]) -> Finding | None:
    """A loss or gradient that is no number, which ends a run; a gap between whole points is one that was skipped."""
    said = record["error"] if isinstance(record["error"], str) else ""
    stopped = record["state"] == "failed" and "not a finite number" in said
    gaps = [row["step"] for row in rows[1:] if _number(row, "train_loss") is None]
    if not stopped and not gaps:
        return None
    first, last = (gaps[0], gaps[-1]) if gaps else (rows[-1]["step"], rows[-1]["step"])
    return Finding(
        "non_finite", "bad", "The loss stopped being a number",
        "A value grew beyond what the number format holds. "
        + ("The run ended there, and its weights are those before it. " if stopped else "")
        + "Usually the learning rate is too high for this model.",
        _evidence("train_loss", first, last), _slower(record),
    )  # fmt: skip


def _diverged(record: dict, rows: Sequence[Row]) -> Finding | None:
    """The loss of the newest tenth stands well above the best that a tenth of the run had before."""
    points = _series(rows, "train_loss")
    if len(points) < FEW:
        return None
    width = max(3, len(points) // 10)
    means = [(points[i][0], fmean(loss for _, loss in points[i : i + width])) for i in range(0, len(points), width)]
    best_step, best = min([(points[0][0], points[0][1]), *means[:-1]], key=lambda point: point[1])
    now = fmean(loss for _, loss in points[-width:])
    if now < best * WORSE or now < best + MUCH_WORSE_NATS:
        return None
    return Finding(
        "divergence", "bad", "The loss is rising instead of falling",
        f"It was {best:.2f} around step {best_step:,} and is {now:.2f} now: each step undoes more than it learns. "
        "More steps will not mend it.",
        _evidence("train_loss", best_step, rows[-1]["step"]), _slower(record),
    )  # fmt: skip


def _plateau(record: dict, rows: Sequence[Row]) -> Finding | None:
    """The second half of what was trained has brought nothing."""
    points = _series(rows, "train_loss")
    if len(points) < 2 * FEW:
        return None
    half = points[len(points) // 2 :]
    before, after = (fmean(loss for _, loss in part) for part in (half[: len(half) // 2], half[len(half) // 2 :]))
    if after < before * (1 - STILL) or after < 0.05:
        return None
    learned = 1 - after / points[0][1] if points[0][1] else 0.0
    rate = record["config"].get("learning_rate")
    if learned < 0.1 and isinstance(rate, float):
        text = (
            f"Since its start it fell by {max(0.0, learned):.1%} only, so the model has hardly learned anything yet. "
            "The learning rate is probably too low."
        )
        action = Action(f"Try again with learning rate {rate * 10:g}", "again", {"learning_rate": min(1.0, rate * 10)})
    else:
        text = (
            f"Over the second half of the run it stayed near {after:.2f}. More steps of this kind bring little; a "
            "larger model, more text or a longer schedule may."
        )
        action = Action("Stop it here, or train a larger model")
    return Finding(
        "plateau", "note", "The loss has stopped falling", text,
        _evidence("train_loss", half[0][0], half[-1][0]), action,
    )  # fmt: skip


def _overfits(record: dict, rows: Sequence[Row]) -> Finding | None:
    """Validation rises for two looks or more while the training loss still falls."""
    looks = _series(rows, "val_loss")
    if len(looks) < 4:
        return None
    best_step, best = min(looks, key=lambda point: point[1])
    later = [loss for step, loss in looks if step > best_step]
    trained = _series(rows, "train_loss")
    near = [loss for step, loss in trained if step <= best_step][-3:]
    now = [loss for _, loss in trained][-3:]
    if len(later) < 2 or min(later[-2:]) < best * (1 + GAP) or not near or fmean(now) >= fmean(near):
        return None
    changes = {"dropout": max(0.2, record["config"].get("dropout") or 0.0), "patience": 3}
    known = {name: value for name, value in changes.items() if name in record["config"]}
    return Finding(
        "overfitting", "warn", "It learns its text by heart",
        f"On text it has not seen it was best at step {best_step:,} ({best:.2f}) and is at {later[-1]:.2f} now, while "
        "the loss on its own text still falls. The checkpoint of that step is the better model.",
        _evidence("val_loss", best_step, looks[-1][0]),
        Action("Try again, stopping early" + (" and with dropout" if "dropout" in known else ""), "again", known),
    )  # fmt: skip


def _spikes(record: dict, rows: Sequence[Row]) -> Finding | None:
    """Single gradients far above their neighbours', after the first steps, which are large in every run."""
    norms = _series(rows, "grad_norm")
    norms = norms[len(norms) // 10 :]
    if len(norms) < FEW:
        return None
    reach, spikes = 25, []
    for i, (step, norm) in enumerate(norms):
        # A block of neighbours has one median, which keeps a hundred thousand points cheap.
        if i % reach == 0:
            usual = median(value for _, value in norms[max(0, i - reach) : i + 2 * reach])
        if norm > SPIKE * usual > 0:
            spikes.append((step, norm / usual))
    if not spikes:
        return None
    clip = record["config"].get("grad_clip", record["config"].get("max_grad_norm"))
    worst, times = max(spikes, key=lambda spike: spike[1])
    how_many = "A gradient was" if len(spikes) == 1 else f"{len(spikes)} gradients were"
    text = (
        f"{how_many} up to {times:.0f} times as large as those around, the largest at step {worst:,}. "
        "Often one batch holds text that is unlike the rest; a jump of the loss there is damage done by it."
    )
    action = _slower(record)
    if "grad_clip" in record["config"] and clip != 1.0:
        action = Action("Try again with gradients clipped at 1", "again", {"grad_clip": 1.0})
    return Finding(
        "gradient_spikes", "warn", "Sudden large gradients", text,
        _evidence("grad_norm", spikes[0][0], spikes[-1][0]), action,
    )  # fmt: skip


def _near_the_limit(record: dict, rows: Sequence[Row], limit_bytes: int | None) -> Finding | None:
    """The peak of the memory stands close to what the run may use."""
    peaks = _series(rows, "peak_bytes")
    budget = record["estimate"].get("budget") if isinstance(record["estimate"], dict) else None
    limit = budget.get("free_bytes") if isinstance(budget, dict) else None
    limit = limit if isinstance(limit, int) and limit > 0 else limit_bytes
    if not peaks or not limit:
        return None
    peak = max(value for _, value in peaks)
    if peak < NEAR_LIMIT * limit:
        return None
    since = next(step for step, value in peaks if value >= NEAR_LIMIT * limit)
    size = record["config"].get("batch_size")
    action = Action("Make the batches smaller, or turn on gradient checkpointing")
    if isinstance(size, int) and size > 1:
        whole = {"batch_size": size // 2}
        if isinstance(record["config"].get("grad_accum_steps"), int):
            whole["grad_accum_steps"] = record["config"]["grad_accum_steps"] * 2
        action = Action(f"Try again with batches of {size // 2}, accumulated", "again", whole)
    return Finding(
        "memory", "warn", "Little memory is left",
        f"It used {peak / 2**30:.2f} GiB at its peak, of {limit / 2**30:.2f} GiB that it may use. A longer text, a "
        "validation or another program can end it.",
        _evidence("peak_bytes", since, rows[-1]["step"]), action,
    )  # fmt: skip


def _slower(record: dict) -> Action:
    rate = record["config"].get("learning_rate")
    if not isinstance(rate, float):
        return Action("Lower the learning rate")
    return Action(f"Try again with learning rate {rate / 10:g}", "again", {"learning_rate": rate / 10})


def _evidence(series: str, from_step: int, to_step: int) -> dict[str, Any]:
    return {"series": series, "from_step": from_step, "to_step": to_step}


def _series(rows: Sequence[Row], name: str) -> list[tuple[int, float]]:
    return [(row["step"], value) for row in rows if (value := _number(row, name)) is not None]


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None
