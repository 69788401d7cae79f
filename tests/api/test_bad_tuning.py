"""Wrong input of fine-tuning: one clear sentence each, by REST and on the command line, and no run is left behind."""

import json

import pytest

from llm_testing.jobs.machine import MemoryFacts
from llm_testing.service import first_look
from tests.api.served import served, told
from tests.api.tuning_parts import AT, BODY
from tests.cli.conftest import say  # noqa: F401  (a fixture)
from tests.data.bad_tuning import GOOD, NAMES, drafts
from tests.data.tiny_model import write_rows


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    good = {**BODY, "model_name": str(root / "good"), "dataset": str(write_rows(root / "good.jsonl", GOOD))}
    return {name: ({**good, **more}, words) for name, (more, words) in drafts(root).items()} | {"good": (good, "")}


@pytest.mark.parametrize("name", NAMES)
def test_by_rest_it_is_422_with_one_sentence(lab, bad, name):
    body, words = bad[name]
    with served(lab) as client:
        reply = client.post(f"{AT}/start", content=json.dumps(body), headers={"content-type": "application/json"})
        said = told(reply, 422)["detail"]
    if name == "alpha NaN":  # JSON itself has no such number
        assert "NaN" in said
    else:
        assert words in said and "Traceback" not in said
    assert lab.rows() == [] and lab.live() is None


@pytest.mark.parametrize("name", NAMES)
def test_on_the_command_line_it_is_one_line_and_2(bad, tmp_path, say, name):  # noqa: F811
    body, words = bad[name]
    file = tmp_path / "run.yaml"
    text = json.dumps(body).replace("NaN", ".nan")
    file.write_text(text, encoding="utf-8")
    said = say("finetune", "--preset", "none", "--config", file, "--runs-dir", tmp_path / "runs", "--json")
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert words in said.err and not (tmp_path / "runs").exists()


def test_a_model_that_cannot_fit_is_refused_before_there_is_a_run(lab, bad, tmp_path, say, monkeypatch):  # noqa: F811
    monkeypatch.setattr(first_look, "usable_memory_bytes", lambda: MemoryFacts(2**16, 2**16, "machine"))
    body, _ = bad["good"]
    with served(lab) as client:
        said = told(client.post(f"{AT}/start", json=body), 422)["detail"]
    file = tmp_path / "run.json"
    file.write_text(json.dumps(body), encoding="utf-8")
    line = say("finetune", "--preset", "none", "--config", file, "--runs-dir", tmp_path / "runs")
    assert line.status == 2 and line.err.count("\n") == 1 and " ".join(said.split()) in line.err
    assert "GiB" in said and lab.rows() == []


def test_the_rows_are_shown_with_what_is_wrong_instead(lab, bad):
    with served(lab) as client:
        seen = client.post(f"{AT}/examples", json=bad["broken JSON"][0]).json()
        assert [problem["where"] for problem in seen["problems"]] == ["line 3 of broken.jsonl"]
        masked = client.post(f"{AT}/examples", json=bad["all labels masked"][0]).json()
        assert (masked["num_sequences"], masked["num_left_out"]) == (0, 3)
        coded = told(client.post(f"{AT}/examples", json=bad["remote code"][0]), 422)
        assert "asks for code of the model's own" in coded["detail"]
