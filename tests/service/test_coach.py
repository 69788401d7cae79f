"""The coach's rules over real runs: each has one where it speaks and one where it is silent."""

from dataclasses import dataclass

import numpy as np
import pytest

from llm_testing.service.coach import Finding, Seen, findings
from llm_testing.service.curves import COLUMNS
from llm_testing.service.lab import Lab
from llm_testing.store.columns import Columns
from llm_testing.train.step import TrainingStep
from tests.service.parts import run

CALM = {"max_steps": 120, "learning_rate": 3e-3, "intermediate_val_freq_steps": 20}
NOISE = "".join(chr(0x4E00 + i * 7 % 900) for i in range(400))


@dataclass
class Runs:
    """Runs by the name of their trouble."""

    lab: Lab
    ids: dict[str, str]

    def findings(self, name: str) -> list[Finding]:
        return self.lab.history.coach(self.ids[name])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    """One run that learns, and one for each trouble."""
    root = tmp_path_factory.mktemp("coach")
    lab = Lab(root / "runs", tmp_path_factory.mktemp("cache"))
    few, strange, other = root / "few.txt", root / "strange.txt", root / "other.txt"
    few.write_text("the cat sat on the mat and looked at the dog. " * 6)
    other.write_text("dog the at mat, looked cat! on sat the tam; god eht ta. " * 6)
    strange.write_text("ab" * 4000 + NOISE + "ab" * 4000)
    drawn = {
        "calm": CALM,
        "fast": {**CALM, "learning_rate": 1.0, "warmup_steps": 60, "grad_clip": 0.0, "lr_schedule": "constant"},
        "slow": {**CALM, "learning_rate": 1e-7, "lr_schedule": "constant"},
        "by_heart": {
            **CALM, "corpus": str(few), "val_corpus": str(other), "learning_rate": 1e-2, "max_steps": 200, "n_embd": 32,
        },
        "strange": {**CALM, "corpus": str(strange), "learning_rate": 1e-2, "max_steps": 600, "grad_clip": 0.0},
    }  # fmt: skip
    found = {name: run(lab, name=name, **values) for name, values in drawn.items()}
    with pytest.MonkeyPatch.context() as patch:
        update = TrainingStep.update

        def poisoned(self, lr):
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps == 30:
                next(iter(self._parameters)).grad.fill_(float("nan"))
            update(self, lr)

        patch.setattr(TrainingStep, "update", poisoned)
        found["poisoned"] = run(lab, name="poisoned", **CALM)
    return Runs(lab, found)


@pytest.mark.parametrize(
    ("rule", "case", "series"),
    [
        ("nonfinite", "poisoned", "train_loss"),
        ("divergence", "fast", "train_loss"),
        ("plateau", "slow", "train_loss"),
        ("overfitting", "by_heart", "val_loss"),
        ("spikes", "strange", "grad_norm"),
    ],
)
def test_a_rule_speaks_of_its_trouble_and_is_silent_of_a_run_that_learns(runs, rule, case, series):
    finding = next(one for one in runs.findings(case) if one.rule == rule)
    assert finding.series == series
    steps = [row["step"] for row in runs.lab.points(runs.ids[case]).rows]
    assert steps[0] <= finding.from_step <= finding.to_step <= steps[-1]
    assert finding.title and finding.why and finding.label
    assert set(finding.changes) <= set(runs.lab.details(runs.ids[case])["config"])
    assert rule not in {one.rule for one in runs.findings("calm")}


def test_little_memory_is_said_where_the_peak_is_near_what_may_be_used(runs):
    lab, run_id = runs.lab, runs.ids["calm"]
    peak = max(row["peak_bytes"] for row in lab.points(run_id).rows)
    curve, record = lab.history.curves.of(run_id), lab.details(run_id)

    def rules(limit_bytes: int) -> set[str]:
        return {one.rule for one in findings(Seen(curve, record, limit_bytes, ()))}

    assert "memory" in rules(int(peak * 1.05)) and "memory" not in rules(int(peak * 1.5))


def test_many_noisy_looks_at_a_flat_loss_are_no_overfitting(runs):
    """The lowest of two hundred looks is luck: what comes after it always stands above."""
    record, rng = runs.lab.details(runs.ids["calm"]), np.random.default_rng(1)
    for _ in range(20):
        curve = Columns(("n", *COLUMNS))
        rows = np.full((1000, len(curve.names)), np.nan)
        level = 2 + 6 * np.exp(-np.arange(1000) / 125)
        columns = {"n": np.arange(1000), "step": np.arange(1000), "train_loss": level + rng.normal(0, 0.05, 1000),
                   "val_loss": np.where(np.arange(1000) % 5, np.nan, level + 0.1 + rng.normal(0, 0.05, 1000)),
                   "lr": np.full(1000, 1e-3)}  # fmt: skip
        for name, values in columns.items():
            rows[:, curve.names.index(name)] = values
        curve.values = rows
        assert "overfitting" not in {one.rule for one in findings(Seen(curve, record, None, ()))}
