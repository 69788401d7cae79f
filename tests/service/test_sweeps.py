"""Sweeps: every combination checked before any run is made, then queued, trained one after the other, and summed up."""

import pytest

from llm_testing.errors import ConfigError, NotFound
from llm_testing.jobs.control import Control
from llm_testing.service.lab import Lab
from tests.service.parts import TINY, until

LONG = {**TINY, "max_steps": 100_000, "learning_rate": 1e-4, "intermediate_val_freq_steps": 50_000}


def test_a_grid_trains_in_turn_goes_on_after_a_failure_and_is_summed_up_best_first(lab):
    over = {"learning_rate": [1e-3, 3e-2], "seed": [1, 2]}
    planned = lab.sweeps.plan("pretrain", TINY, over, name="rates")
    assert planned.joins == 0 and "They train one after the other" in planned.sentences()[0]
    blocker = lab.start(LONG).run_id
    run_ids = lab.sweeps.start(planned)
    assert lab.queued() == run_ids
    restarted = Lab(lab.runs_dir, lab.cache_dir)
    assert restarted.queued() == run_ids and restarted.live() is None, "after a restart it waits for its owner"
    (lab.runs_dir / run_ids[1] / "run.json").write_text("{")
    lab.stop("save", blocker)
    until(lambda: all(lab.details(run_id)["state"] == "completed" for run_id in (run_ids[0], *run_ids[2:])))
    rows = {row.run_id: row for row in lab.rows()}
    assert rows[run_ids[0]].tags == ("sweep:rates",)
    assert rows[run_ids[0]].name == "tiny-1x16, learning_rate 0.001, seed 1"
    summary = lab.sweeps.summary("rates")
    assert summary["options"] == ["learning_rate", "seed"] and summary["by"] == "val_bits_per_byte"
    assert {run["run_id"] for run in summary["runs"]} == {run_ids[0], *run_ids[2:]}
    reached = [run["val_bits_per_byte"] for run in summary["runs"]]
    assert reached == sorted(reached) and summary["runs"][0]["values"]["learning_rate"] == 3e-2
    assert {run["state"] for run in summary["runs"]} == {"completed"}
    (listed,) = lab.sweeps.all()
    assert listed["num_runs"] == 3 and listed["states"] == {"completed": 3}
    assert listed["best"] == summary["runs"][0]["run_id"]
    assert lab.sweeps.plan("pretrain", TINY, over, name="rates").joins == 3
    with pytest.raises(NotFound, match="There is no sweep 'other'"):
        lab.sweeps.summary("other")


@pytest.mark.parametrize(
    ("over", "mode", "message"),
    [
        ({"learning_rate": [1e-3, "fast"]}, "grid", r"learning_rate: .* received 'fast'"),
        ({"n_head": [2, 3], "seed": [1]}, "grid", r"(n_head|n_embd): .*3"),
        ({"seed": [1, 2], "batch_size": [1]}, "list", "seed has 2, batch_size has 1"),
        ({"seed": list(range(65))}, "grid", "at most 64 runs"),
        ({"seed": [1, 1]}, "grid", "a value was given twice"),
        ({"seed": []}, "grid", "give at least one value"),
        ({}, "grid", "1 to 3 options; received 0"),
        ({"name": ["a"]}, "grid", "cannot go over 'name'"),
        ({"lr": [1]}, "grid", "cannot go over 'lr'"),
        ({"threads": [1, 4000]}, "grid", "received 4000"),
        ({"corpus": ["tiny", "/nowhere/at-all.txt"]}, "grid", "at-all.txt"),
    ],
)
def test_one_wrong_value_makes_no_run_and_is_named(lab, over, mode, message):
    with pytest.raises(ConfigError, match=message):
        lab.sweeps.plan("pretrain", TINY, over, mode=mode)
    assert lab.rows() == [] and lab.queued() == []


def test_side_by_side_takes_the_first_with_the_first_and_a_name_is_made(lab):
    over = {"learning_rate": [1e-3, 3e-3], "batch_size": [2, 4]}
    planned = lab.sweeps.plan("pretrain", {**TINY, "name": "x" * 80}, over, mode="list")
    assert planned.name == "learning_rate-batch_size"
    assert [(c.learning_rate, c.batch_size) for c in planned.configs] == [(1e-3, 2), (3e-3, 4)]
    assert all(len(record["name"]) == 80 for record in planned.records)
    assert planned.records[1]["name"].endswith(", learning_rate 0.003, batch_size 4")
    with pytest.raises(ConfigError, match="A sweep's name has 1 to 40"):
        lab.sweeps.plan("pretrain", TINY, over, mode="list", name="a/b")


def test_here_a_stop_ends_one_run_and_leaves_the_others_in_the_queue(lab):
    control = Control()
    planned = lab.sweeps.plan("pretrain", LONG, {"seed": [1, 2, 3]})
    seen = []
    run_ids = lab.sweeps.run_here(
        planned,
        lambda *told: seen.append(told),
        control=control,
        on_event=lambda event: control.request_stop("signal"),
    )
    assert seen == [(run_ids[0], 1, 3)] and lab.queued() == run_ids[1:]
    states = {row.run_id: row.state for row in lab.rows()}
    assert [states[run_id] for run_id in run_ids] == ["interrupted", "queued", "queued"]
