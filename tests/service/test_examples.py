"""The finished runs that come with the program: whole, small, without weights, and not taken for the user's own."""

import re
import shutil
from pathlib import Path

import pytest

from llm_testing.api.live import LiveRoutes
from llm_testing.api.live_history import HistoryRoutes
from llm_testing.config.history import RunsQuery
from llm_testing.service.lab import Lab
from llm_testing.service.records import EXAMPLE

RUNS = Path(__file__).parents[2] / "runs"
MOST_BYTES = 300_000


@pytest.fixture
def examples(tmp_path) -> Lab:
    """A lab over a copy of them."""
    lab = Lab(tmp_path / "runs", tmp_path / "cache")
    for folder in RUNS.glob("*/run.json"):
        if EXAMPLE in folder.read_text(encoding="utf-8"):
            shutil.copytree(folder.parent, lab.runs_dir / folder.parent.name)
    return lab


def test_two_finished_runs_that_differ_in_one_option_come_with_the_program(examples):
    rows = examples.rows()
    assert len(rows) == 2 and all(row.damaged is None and row.state == "completed" for row in rows)
    assert all(row.tags == (EXAMPLE,) and row.bytes < MOST_BYTES and row.resumable_step is None for row in rows)
    compared = examples.compare([row.run_id for row in rows])
    assert list(compared["differing"]) == ["learning_rate"]
    losses = [result["val_loss"] for result in compared["results"].values()]
    assert abs(losses[0] - losses[1]) > 0.1


def test_their_curves_and_samples_are_there(examples):
    for row in examples.rows():
        points = examples.points(row.run_id).rows
        assert points[-1]["step"] == row.step == row.total_steps and points[-1]["final_val_loss"] == row.val_loss
        assert points[0]["train_loss"] > points[-1]["train_loss"] + 1
        assert len({sample["step"] for sample in examples.samples(row.run_id).rows}) > 5


def test_nothing_of_the_machine_they_were_made_on_is_in_them(examples):
    for path in examples.runs_dir.rglob("*.json*"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'"(/|[A-Z]:\\)\w', text), path


def test_they_foretell_nothing_for_this_machine(examples):
    config = examples.details(examples.rows()[0].run_id)["config"]
    ahead = examples.preview({name: value for name, value in config.items() if name != "sample_prompts"}).expected
    assert ahead.seconds is None and ahead.train_tokens is None


def test_a_first_visitor_is_still_greeted_and_finds_them_in_the_list(examples):
    live = LiveRoutes(examples)
    assert live._status()["run"] is None
    assert [run["tags"] for run in HistoryRoutes(examples)._runs(RunsQuery())["runs"]] == [(EXAMPLE,), (EXAMPLE,)]
