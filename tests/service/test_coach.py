"""The coach's rules over real runs: each has one where it speaks and one where it is silent."""

from dataclasses import dataclass

import pytest

from llm_testing.service.coach import findings
from llm_testing.service.lab import Lab
from llm_testing.train.step import TrainingStep
from tests.service.parts import run

CALM = {"max_steps": 120, "learning_rate": 3e-3, "intermediate_val_freq_steps": 20}
NOISE = "".join(chr(0x4E00 + i * 7 % 900) for i in range(400))


@dataclass
class Looked:
    """A run's record and rows."""

    record: dict
    rows: list[dict]

    def rules(self, limit: int | None = None) -> set[str]:
        return {finding.rule for finding in findings(self.record, self.rows, limit)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Looked]:
    """One run that learns, and one for each trouble."""
    root = tmp_path_factory.mktemp("coach")
    lab = Lab(root / "runs", tmp_path_factory.mktemp("cache"))
    few, strange, other = root / "few.txt", root / "strange.txt", root / "other.txt"
    few.write_text("the cat sat on the mat and looked at the dog. " * 6)
    other.write_text("dog the at mat, looked cat! on sat the tam; god eht ta. " * 6)
    strange.write_text("ab" * 4000 + NOISE + "ab" * 4000)
    drawn = {
        "calm": CALM,
        "fast": {**CALM, "learning_rate": 1.0, "warmup_steps": 60, "grad_clip": 0.0},
        "slow": {**CALM, "learning_rate": 1e-7},
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
    return {name: Looked({**lab.details(run_id)}, lab.points(run_id).rows) for name, run_id in found.items()}


@pytest.mark.parametrize(
    ("rule", "case", "series"),
    [
        ("non_finite", "poisoned", "train_loss"),
        ("divergence", "fast", "train_loss"),
        ("plateau", "slow", "train_loss"),
        ("overfitting", "by_heart", "val_loss"),
        ("gradient_spikes", "strange", "grad_norm"),
    ],
)
def test_a_rule_speaks_of_its_trouble_and_is_silent_of_a_run_that_learns(runs, rule, case, series):
    looked = runs[case]
    finding = next(one for one in findings(looked.record, looked.rows) if one.rule == rule)
    evidence = finding.evidence
    assert evidence["series"] == series
    steps = [row["step"] for row in looked.rows]
    assert steps[0] <= evidence["from_step"] <= evidence["to_step"] <= steps[-1]
    assert finding.action.title and (finding.action.how is None or finding.action.changes)
    assert set(finding.action.changes or {}) <= set(looked.record["config"])
    assert rule not in runs["calm"].rules()


def test_little_memory_is_said_where_the_peak_is_near_what_may_be_used(runs):
    peak = max(row["peak_bytes"] for row in runs["calm"].rows)
    assert "memory" in runs["calm"].rules(int(peak * 1.05))
    assert "memory" not in runs["calm"].rules(int(peak * 1.5))


def test_a_run_without_points_has_nothing_to_say(runs):
    assert findings(runs["calm"].record, []) == []
