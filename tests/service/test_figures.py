"""What charts are made of."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from llm_testing.service.curves import COLUMNS
from llm_testing.service.figures import PANELS, RUN_COLOURS, X_AXES, colour_of
from llm_testing.service.new_runs import NewRuns
from llm_testing.store.runs import RunStore


def test_every_column_that_is_drawn_is_sent():
    drawn = {trace["column"] for panel in PANELS for trace in panel["traces"]} | {axis["column"] for axis in X_AXES}
    assert drawn <= set(COLUMNS)


def test_train_and_validation_share_the_first_panel():
    assert {"train_loss", "val_loss"} <= {trace["column"] for trace in PANELS[0]["traces"]}


def test_a_run_keeps_its_colour_and_runs_differ():
    ids = [f"20261123-0000{i:02}-abcd" for i in range(40)]
    assert [colour_of(i) for i in ids] == [colour_of(i) for i in ids]
    assert len({colour_of(i) for i in ids}) > len(RUN_COLOURS) // 2


@pytest.mark.parametrize("seconds", [0, 7], ids=["in one second", "one after another"])
def test_ten_runs_in_a_row_have_ten_colours_whoever_made_them(tmp_path, seconds):
    moments = (datetime(2026, 11, 23, 10, 15, tzinfo=UTC) + timedelta(seconds=seconds * i) for i in itertools.count())
    store = RunStore(tmp_path, now=lambda: next(moments))
    makers = itertools.cycle([NewRuns(store)] if seconds == 0 else [NewRuns(store), NewRuns(store)])
    colours = [colour_of(next(makers).create({"kind": "pretrain"}).run_id) for _ in range(30)]
    assert all(len(set(colours[i : i + len(RUN_COLOURS)])) == len(RUN_COLOURS) for i in range(21))
