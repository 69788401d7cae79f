"""Thinned curves look like the whole ones."""

import json
import math

from llm_testing.service.curves import COLUMNS, columns_of, thinned


def history(num_rows: int) -> list[dict]:
    return [
        {"step": i, "train_loss": 3.0 + math.sin(i / 50), "lr": 1e-3, "grad_norm": 1.0, "tokens_per_s": 100.0 + i % 7}
        for i in range(num_rows)
    ]


def test_a_short_history_is_left_alone():
    rows = history(100)
    assert thinned(rows, 2400) is rows


def test_a_spike_of_a_single_step_survives_in_every_column():
    rows = history(100_000)
    rows[54_321]["train_loss"] = 99.0
    rows[12_345]["grad_norm"] = 777.0
    rows[77_777]["tokens_per_s"] = 0.5
    drawn = thinned(rows, 2400)
    assert len(drawn) <= 2400 + 2
    assert max(row["train_loss"] for row in drawn) == 99.0
    assert max(row["grad_norm"] for row in drawn) == 777.0
    assert min(row["tokens_per_s"] for row in drawn) == 0.5


def test_no_validation_point_is_dropped_and_order_is_kept():
    rows = history(50_000)
    for i in range(0, 50_000, 31):
        rows[i]["val_loss"] = 3.5
    rows[-1]["final_val_loss"] = 3.4
    drawn = thinned(rows, 500)
    assert sum(row.get("val_loss") is not None for row in drawn) == len(range(0, 50_000, 31))
    assert drawn[-1]["final_val_loss"] == 3.4 and drawn[0] is rows[0]
    assert [row["step"] for row in drawn] == sorted(row["step"] for row in drawn)


def test_a_missing_value_stays_a_gap():
    rows = history(20_000)
    rows[9_999]["train_loss"] = None
    assert any(row["train_loss"] is None for row in thinned(rows, 800))


def test_columns_are_json_without_nan():
    columns = columns_of([{"step": 1, "train_loss": math.nan, "grad_norm": math.inf, "lr": 0.00123456789}])
    assert set(columns) == set(COLUMNS)
    assert columns["train_loss"] == [None] and columns["grad_norm"] == [None] and columns["val_loss"] == [None]
    assert columns["lr"] == [0.00123457] and columns["step"] == [1]
    json.dumps(columns, allow_nan=False)
