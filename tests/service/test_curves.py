"""Thinned curves look like the whole ones, at every zoom."""

import json
import math

import numpy as np
import pytest

from llm_testing.errors import ConfigError
from llm_testing.service.curves import COLUMNS, CurveStore, columns_of, thinned, within
from llm_testing.store.runs import RunStore

NAMES = ("n", *COLUMNS)


def at(values: np.ndarray, name: str) -> np.ndarray:
    return values[:, NAMES.index(name)]


def history(num_rows: int) -> np.ndarray:
    values = np.full((num_rows, len(NAMES)), np.nan)
    steps = np.arange(num_rows)
    for name, column in {
        "n": steps, "step": steps, "train_loss": 3.0 + np.sin(steps / 50), "lr": 1e-3, "grad_norm": 1.0,
        "tokens_per_s": 100.0 + steps % 7, "tokens_seen": steps * 128, "elapsed_s": steps * 0.1,
    }.items():  # fmt: skip
        values[:, NAMES.index(name)] = column
    return values


def test_a_short_history_is_left_alone():
    rows = history(100)
    assert thinned(rows, NAMES, 2400) is rows


def test_a_spike_of_a_single_step_survives_in_every_column():
    rows = history(100_000)
    at(rows, "train_loss")[54_321] = 99.0
    at(rows, "grad_norm")[12_345] = 777.0
    at(rows, "tokens_per_s")[77_777] = 0.5
    drawn = thinned(rows, NAMES, 2400)
    assert len(drawn) <= 2400 + 2
    assert at(drawn, "train_loss").max() == 99.0
    assert at(drawn, "grad_norm").max() == 777.0
    assert at(drawn, "tokens_per_s").min() == 0.5


@pytest.mark.parametrize("width", [100_000, 30_000, 5_000, 900, 40, 2])
@pytest.mark.parametrize(("x", "column", "scale"), [("step", "step", 1), ("tokens", "tokens_seen", 128),
                                                   ("time", "elapsed_s", 0.1)])  # fmt: skip
def test_a_spike_is_visible_at_every_zoom_that_holds_it(width, x, column, scale):
    rows = history(100_000)
    at(rows, "train_loss")[54_321] = 99.0
    first = max(0, 54_321 - width // 2)
    part = within(rows, NAMES, x, first * scale, (first + width) * scale)
    drawn = thinned(part, NAMES, 1200)
    assert at(drawn, "train_loss").max() == 99.0 and len(drawn) <= 1202
    # One row more at either side, so that the line runs to the edge.
    assert at(part, column)[0] <= first * scale and len(part) <= width + 4


def test_few_validations_all_stay_and_of_many_the_extremes():
    rows = history(50_000)
    at(rows, "val_loss")[::400] = 3.5
    at(rows, "final_val_loss")[-1] = 3.4
    drawn = thinned(rows, NAMES, 500)
    assert (~np.isnan(at(drawn, "val_loss"))).sum() == len(range(0, 50_000, 400))
    assert at(drawn, "final_val_loss")[-1] == 3.4 and at(drawn, "step")[0] == 0
    assert (np.diff(at(drawn, "step")) > 0).all()
    at(rows, "val_loss")[:] = 3.5
    at(rows, "val_loss")[33_333] = 1.25
    few = thinned(rows, NAMES, 500)
    assert np.nanmin(at(few, "val_loss")) == 1.25 and len(few) < 1000


def test_a_missing_value_stays_a_gap():
    rows = history(20_000)
    at(rows, "train_loss")[9_999] = np.nan
    assert np.isnan(at(thinned(rows, NAMES, 800), "train_loss")).any()


def test_columns_are_json_without_nan():
    rows = np.full((1, len(NAMES)), np.nan)
    at(rows, "step")[0], at(rows, "lr")[0], at(rows, "tokens_seen")[0] = 1, 0.00123456789, 2**40
    columns = columns_of(rows, NAMES)
    assert set(columns) == set(COLUMNS)
    assert columns["train_loss"] == [None] and columns["val_loss"] == [None]
    assert columns["lr"] == [0.00123457] and columns["step"] == [1] and columns["tokens_seen"] == [2**40]
    json.dumps(columns, allow_nan=False)


def test_an_x_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="x is one of step, tokens, time"):
        within(history(3), NAMES, "__class__", 0, 1)


def test_curves_are_kept_beside_and_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("llm_testing.service.curves._WORTH_KEEPING", 1000)
    monkeypatch.setattr("llm_testing.service.curves.MOST_KEPT_BYTES", 40_000)
    store = RunStore(tmp_path / "runs")
    curves, ids = CurveStore(store, tmp_path / "cache"), []
    for number in range(6):
        folder = store.create({"kind": "pretrain", "name": str(number)}, f"20260101-00000{number}-aaaa")
        with folder.journal("metrics") as journal:
            for step in range(100):
                journal.append({"step": step, "train_loss": float(number), "lr": math.nan})
        ids.append(folder.run_id)
        assert len(curves.of(folder.run_id)) == 100
    kept = [columns for _, columns in curves._kept.values()]
    assert sum(columns.num_bytes for columns in kept) <= 40_000 and len(kept) < 6
    assert len(list((tmp_path / "cache" / "curves").iterdir())) == 6
    again = CurveStore(store, tmp_path / "cache")
    assert not any(map(again.keep, ids)), "they are kept already"
    assert at(again.of(ids[3]).values, "train_loss").tolist() == [3.0] * 100
    with store.open(ids[3]).journal("metrics") as journal:
        journal.append({"step": 100, "train_loss": 7.0})
    assert at(again.of(ids[3]).values, "train_loss")[-1] == 7.0 and len(again.of(ids[3])) == 101
