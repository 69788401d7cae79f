"""What can be done with finished runs."""

from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Said
from tests.cli.test_training import KEYS

pytestmark = pytest.mark.proof


def test_list_gives_the_keys_of_the_contract(finished: tuple[Path, Said], run_id: str, say):
    said = say("runs", "list", "--runs-dir", finished[0], "--json")
    (row,) = said.json()["runs"]
    assert set(row) == {"run_id", "kind", "name", "state", "step", "train_loss", "val_loss", "damaged"}
    assert (row["run_id"], row["state"], row["step"], row["damaged"]) == (run_id, "completed", 12, None)
    assert run_id in say("runs", "list", "--runs-dir", finished[0]).out


def test_an_empty_runs_folder_is_an_empty_list(tmp_path: Path, say):
    assert say("runs", "list", "--runs-dir", tmp_path / "none", "--json").json() == {"runs": []}


def test_show_tells_options_results_and_checkpoints(finished: tuple[Path, Said], run_id: str, say):
    details = say("runs", "show", run_id, "--runs-dir", finished[0], "--json").json()
    assert details["config"]["n_embd"] == 16 and details["state"] == "completed"
    text = say("runs", "show", run_id, "--runs-dir", finished[0]).out
    assert "n_embd" in text and f"{run_id}/step-00000012" in text


def test_generate_continues_the_prompt_the_same_for_the_same_seed(finished: tuple[Path, Said], run_id: str, say):
    args = ("generate", run_id, "--prompt", "A child", "--max-tokens", "9", "--runs-dir", finished[0])
    first, again, other = say(*args, "--seed", "1"), say(*args, "--seed", "1"), say(*args, "--seed", "2")
    assert first.status == 0 and first.out.startswith("A child") and len(first.out) > len("A child\n")
    assert first.out == again.out != other.out
    checkpoint = say("generate", f"{run_id}/step-00000012", *args[2:], "--seed", "1", "--json").json()
    assert checkpoint["prompt"] + checkpoint["text"] + "\n" == first.out


def test_export_writes_a_folder_once(finished: tuple[Path, Said], run_id: str, tmp_path: Path, say):
    args = ("export", run_id, "--to", tmp_path / "out", "--runs-dir", finished[0])
    assert say(*args).status == 0
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in (tmp_path / "out").iterdir()}
    again = say(*args)
    assert again.status == 1 and "is not empty" in again.err


def test_compare_rename_delete_and_restore(tmp_path: Path, say):
    here = ("--runs-dir", tmp_path)
    ids = [
        say("pretrain", *SMALL, "--max-steps", "2", "--seed", seed, *here, "--json").json()["run_id"]
        for seed in ("1", "2")
    ]
    compared = say("runs", "compare", *ids, *here, "--json").json()
    assert compared["differing"] == {"seed": {ids[0]: 1, ids[1]: 2}}
    assert list(compared["results"][ids[0]]) == KEYS
    assert "seed" in say("runs", "compare", *ids, *here).out

    assert say("runs", "rename", ids[0], "a ../ name", *here).status == 0
    names = {row["run_id"]: row["name"] for row in say("runs", "list", *here, "--json").json()["runs"]}
    assert names[ids[0]] == "a ../ name"

    assert say("runs", "delete", ids[0], *here).status == 0
    assert [row["run_id"] for row in say("runs", "list", *here, "--json").json()["runs"]] == [ids[1]]
    assert ids[0] in say("runs", "trash", *here).out
    assert say("runs", "restore", ids[0], *here).status == 0
    assert len(say("runs", "list", *here, "--json").json()["runs"]) == 2
    assert say("runs", "delete", *ids, *here).status == 0
    assert say("runs", "trash", "--empty", *here).out.startswith("Removed 2 runs")
    assert say("runs", "trash", *here).out == "The trash is empty.\n"


def test_a_run_that_is_not_there_is_wrong_use(finished: tuple[Path, Said], say):
    for args in (("runs", "show", "20260101-000000-abcd"), ("runs", "show", "../x"), ("resume", "nonsense")):
        said = say(*args, "--runs-dir", finished[0])
        assert said.status == 2 and said.out == "" and said.err.count("\n") == 1, said


def test_corpora_are_listed_and_an_unknown_one_is_refused(tmp_path: Path, say):
    rows = {row["name"]: row for row in say("corpora", "list", "--json").json()["corpora"]}
    assert all(rows[name]["at_hand"] for name in ("python-docs", "python-stdlib", "tiny"))
    assert "tinystories" in say("corpora", "list").out
    said = say("corpora", "download", "nothing")
    assert said.status == 2 and "There is no corpus 'nothing'" in said.err
    assert say("corpora", "download", "tiny").status == 0
