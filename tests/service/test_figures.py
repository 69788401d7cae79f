"""What charts are made of."""

from llm_testing.service.curves import COLUMNS
from llm_testing.service.figures import PANELS, RUN_COLOURS, X_AXES, colour_of


def test_every_column_that_is_drawn_is_sent():
    drawn = {trace["column"] for panel in PANELS for trace in panel["traces"]} | {axis["column"] for axis in X_AXES}
    assert drawn <= set(COLUMNS)


def test_train_and_validation_share_the_first_panel():
    assert {"train_loss", "val_loss"} <= {trace["column"] for trace in PANELS[0]["traces"]}


def test_a_run_keeps_its_colour_and_runs_differ():
    ids = [f"20261123-0000{i:02}-abcd" for i in range(40)]
    assert [colour_of(i) for i in ids] == [colour_of(i) for i in ids]
    assert len({colour_of(i) for i in ids}) > len(RUN_COLOURS) // 2
