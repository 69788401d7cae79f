"""Shapes: what is valid passes as it is, to the last field; what is not becomes blank and is told, bounded."""

import json
from pathlib import Path

import pytest

from llm_testing.config import limits
from llm_testing.jobs.states import RunState
from llm_testing.store.damage import MOST_PLACES, Damage
from llm_testing.store.run_shapes import JOURNALS, METRICS, STATES, RowCheck, record_shape
from llm_testing.store.runs import RunStore
from llm_testing.store.shapes import KEPT_OF_CUT, Look, Open, Text
from tests.past_runs import history_of_a_week

RUNS = Path(__file__).parents[2] / "runs"


def held(shape, value):
    damage = Damage()
    return shape.held(value, "field", Look(damage, "file.json")), damage


def test_the_states_of_the_shape_are_those_of_a_run():
    assert {str(state) for state in RunState} == STATES


def test_runs_of_earlier_versions_pass_as_they_are(tmp_path):
    history_of_a_week(tmp_path)
    for folder in (
        *RUNS.glob("2*"),
        *(path for path in tmp_path.glob("2*") if b"schema" in (path / "run.json").read_bytes()),
    ):
        written = json.loads((folder / "run.json").read_bytes())
        kept, damage = held(record_shape(written["kind"]), written)
        assert kept == written and list(kept) == list(written) and not damage
        for name, shape in JOURNALS.items():
            check = RowCheck(shape, name)
            lines = (folder / f"{name}.jsonl").read_bytes().splitlines() if (folder / f"{name}.jsonl").exists() else []
            for line in map(json.loads, lines):
                assert check.row(line, 1) == line and not check.damage, (folder.name, check.damage.in_words())


def test_what_may_be_written_may_be_read(tmp_path):
    marks = {"name": "n" * limits.LONGEST_NAME, "notes": "é" * limits.LONGEST_NOTES}
    run = RunStore(tmp_path).create({**marks, "tags": ["t" * limits.LONGEST_TAG] * limits.MOST_TAGS})
    record = run.record()
    assert record["damage"] is None and {name: record[name] for name in marks} == marks
    run.update(error="e" * (limits.LONGEST_TEXT + 1))
    assert run.record()["error"].endswith("… (cut, 50,001 characters)") and run.record()["damage"] is None


def test_an_update_leaves_what_is_damaged_as_it_was_found(tmp_path):
    run = RunStore(tmp_path).create({"kind": "pretrain"})
    written = {**json.loads((run.path / "run.json").read_text()), "notes": ["not", "text"], "summary": {"step": "9"}}
    (run.path / "run.json").write_text(json.dumps(written))
    assert run.update(starred=True)["notes"] == ""
    kept = json.loads((run.path / "run.json").read_text())
    assert (kept["notes"], kept["summary"], kept["starred"]) == (["not", "text"], {"step": "9"}, True)


def test_a_text_that_is_too_long_keeps_its_beginning_and_says_how_long_it_was():
    kept, damage = held(Text(most=10_000), "abc" * 10_000)
    assert kept == ("abc" * 200)[:KEPT_OF_CUT] + "… (cut, 30,000 characters)"
    assert (damage.num_cut, damage.num_values) == (1, 0) and "30,000 characters" in damage.in_words()


@pytest.mark.parametrize(
    "value", [{str(n): n for n in range(10**5)}, [[0] * 1000] * 1000, ["x" * 40_000] * 100, [[[[[[[[[[1]]]]]]]]]]]
)
def test_anything_else_stays_within_bounds(value):
    kept, damage = held(Open(), value)
    assert len(json.dumps(kept)) < 200_000 and damage


def test_places_are_counted_by_field_and_few_are_kept():
    check = RowCheck(METRICS, "metrics.jsonl")
    for number in range(1000):
        row = {"n": number, "step": number, "lr": "x", **{f"f{number}": 10**400}}
        check.row(row, number + 1)
    assert check.damage.num_values == 2000 and len(check.damage.places) == MOST_PLACES
    first = check.damage.places[0]
    assert (first.field, first.line, first.count) == ("lr", 1, 1000)
    assert "metrics.jsonl, line 1, lr: text 'x' where a number belongs (1,000 times)" in check.damage.in_words()
