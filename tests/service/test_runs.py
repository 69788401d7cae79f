import json

import pytest

from llm_testing.errors import BadRunId, ConfigError, NotFound, WrongState
from llm_testing.jobs.control import Control
from llm_testing.model.generate import Sampling
from llm_testing.service import reader
from llm_testing.store import journal
from tests.service.parts import TINY, curve, final_weights, made, run


def test_a_run_leaves_a_folder_that_says_everything(lab):
    run_id = run(lab, name="my first")
    details, result = lab.details(run_id), lab.result(run_id)
    assert details["state"] == result["state"] == "completed"
    assert details["name"] == "my first"
    assert details["config"]["n_embd"] == 16 and details["config"]["grad_accum_steps"] == 1
    assert details["environment"]["threads"] == 1 and details["environment"]["sdpa_kernels"]
    assert details["data"]["train_tokens"] > 100 and len(details["data"]["fingerprint"]) == 64
    assert details["parameters"]["total"] == result["num_parameters"] > 0
    assert details["measured_peak_bytes"] > 10**7
    assert [row["step"] for row in lab.points(run_id).rows] == list(range(7))
    assert lab.samples(run_id).rows[0]["prompt"] == "The"
    assert [row["event"] for row in lab.events(run_id).rows][-1] == "ended"
    assert {c["step"]: c["kinds"] for c in details["checkpoints"]}[6][-1] == "final"
    text = (lab.runs_dir / run_id / "run.json").read_text()
    assert "NaN" not in text and json.loads(text)["schema"] == 1


def test_the_same_seed_gives_the_same_run_and_another_seed_another(lab):
    first, again, other = run(lab), run(lab), run(lab, seed=2)
    assert curve(lab, first) == curve(lab, again) != curve(lab, other)
    assert final_weights(lab, first) == final_weights(lab, again)


def test_the_result_has_the_loss_of_the_whole_split(lab):
    run_id = run(lab)
    last = lab.points(run_id).rows[-1]
    result, (row,) = lab.result(run_id), lab.rows()
    assert result["val_loss"] == row.val_loss == last["final_val_loss"]
    assert result["val_bits_per_byte"] == row.val_bits_per_byte == last["final_val_bits_per_byte"]
    assert row.state == "completed" and row.resumable_step == 6 and row.damaged is None


def test_a_cursor_gives_only_what_is_new(lab):
    run_id = run(lab)
    everything = lab.points(run_id)
    middle = everything.rows[3]["n"]
    assert lab.points(run_id, middle).rows == everything.rows[4:]
    assert lab.points(run_id, everything.next).rows == []


def test_comparing_shows_only_what_differs(lab):
    one, two = run(lab), run(lab, seed=2, batch_size=4)
    comparison = lab.compare([one, two])
    assert comparison["differing"] == {"seed": {one: 1337, two: 2}, "batch_size": {one: 2, two: 4}}
    assert set(comparison["results"]) == {one, two}


def test_a_checkpoint_generates_and_exports(lab, tmp_path):
    run_id = run(lab)
    said = ["".join(lab.generate(run_id, "The", Sampling(12, seed=s))) for s in (1, 1, 2)]
    assert said[0] == said[1] != said[2]
    assert "".join(lab.generate(f"{run_id}/step-00000006", "The", Sampling(12, seed=1))) == said[0]
    folder = lab.export(run_id, tmp_path / "out")
    assert (folder / "model.safetensors").exists() and (folder / "tokenizer.json").exists()
    with pytest.raises(WrongState, match="is not empty"):
        lab.export(run_id, tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"n_layer": 0}, "n_layer", "a whole number from 1 to 128"),
        ({"learning_rate": float("nan")}, "learning_rate", "received nan"),
        ({"n_head": 3}, "n_head", "must divide the width 16"),
        ({"layers": 2}, "layers", "no option 'layers'"),
        ({"device": "cuda:9"}, "device", "There is no cuda:9"),
        ({"tf32": True}, "tf32", "NVIDIA"),
        ({"attention_impl": "sdpa", "sdpa_kernel": "cudnn"}, "sdpa_kernel", "These can: auto, flash, math"),
        ({"threads": 1024}, "threads", "may use"),
        ({"resume_from": "../../etc"}, "resume_from", "etc"),
    ],
)
def test_bad_options_name_their_field_and_leave_nothing_behind(lab, values, field, says):

    with pytest.raises(ConfigError) as caught:
        lab.run_here({**TINY, **values}, control=Control())
    assert [p.field for p in caught.value.problems] == [field]
    assert says in str(caught.value)
    assert lab.rows() == []


@pytest.mark.parametrize("field", ["corpus", "val_corpus"])
def test_text_that_is_not_there_empty_or_binary_is_refused_before_the_run(lab, tmp_path, field):
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text("")
    binary.write_bytes(bytes(range(256)) * 8)
    for value, says in ((str(empty), "holds no text"), (str(binary), "binary"), ("no-such", "no corpus and no file")):
        with pytest.raises(ConfigError, match=says) as caught:
            lab.start({**TINY, field: value})
        assert [p.field for p in caught.value.problems] == [field]
    assert lab.rows() == []


def test_a_download_without_network_ends_in_words_that_name_what_is_at_hand(lab):
    run_id = run(lab, corpus="http://127.0.0.1:9/nothing.txt")
    details = lab.details(run_id)
    assert details["state"] == "failed" and "python-docs" in details["error"]
    assert lab.last().error.message == details["error"] and lab.last().error.traceback == ""


def test_unknown_and_hostile_ids_are_told_apart(lab):
    with pytest.raises(NotFound):
        lab.details("20200101-000000-aaaa")
    for hostile in ("..", "../../etc", "/etc/passwd", "a\n", ""):
        with pytest.raises(BadRunId):
            lab.details(hostile)


def test_deleting_moves_to_the_trash_and_back(lab):
    run_id = run(lab)
    lab.trash(run_id)
    assert lab.rows() == [] and [row.run_id for row in lab.trashed()] == [run_id]
    lab.restore(run_id)
    assert [row.run_id for row in lab.rows()] == [run_id]


def test_a_damaged_run_is_listed_and_hides_no_other(lab):
    good, bad = run(lab), run(lab)
    (lab.runs_dir / bad / "run.json").write_text('{"schema": 1, "config": [')
    rows = {row.run_id: row for row in lab.rows()}
    assert rows[good].damaged is None and "run.json" in rows[bad].damaged


def test_names_are_data(lab):
    run_id = run(lab)
    hostile = "</script><img src=x onerror=alert(1)>"
    lab.rename(run_id, hostile)
    assert lab.details(run_id)["name"] == hostile
    with pytest.raises(ConfigError, match="Run name"):
        lab.rename(run_id, "x" * 81)


def test_an_early_end_is_noted(lab):
    run_id = run(lab, max_steps=100, learning_rate=1.0, grad_clip=0.0, intermediate_val_freq_steps=1, patience=2)
    ended = lab.events(run_id).rows[-1]
    assert ended["state"] == "completed" and ended["ended_early"] is True
    assert lab.result(run_id)["step"] < 100


def test_a_long_journal_is_taken_along_whole_at_the_first_call(lab, monkeypatch):
    """A look reads a bounded piece at a time; a table that ended there would lack rows without a word."""
    monkeypatch.setattr(journal, "MAX_POLL_BYTES", 1000)
    run_id = made(lab, 1, steps=60)
    assert b"".join(lab.history.table(run_id, "metrics")).count(b"\r\n") == 61
    assert len(lab.points(run_id).rows) == 60 and lab.details(run_id)["damaged"] is None


def test_of_a_journal_beyond_all_measure_the_first_rows_are_kept_and_that_is_told(lab, monkeypatch):
    monkeypatch.setattr(journal, "MAX_POLL_BYTES", 1000)
    monkeypatch.setattr(reader, "MOST_ROWS_OF_ONE", 20)
    run_id = made(lab, 1, steps=60)
    assert 20 <= len(lab.points(run_id).rows) < 40
    assert "metrics.jsonl" in lab.history.damage(run_id).in_words()
