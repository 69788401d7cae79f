"""Bodies of the earlier project's clients, unchanged: each starts what it meant, and is answered in the same keys."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.data import corpora
from llm_testing.data.gpt2 import FILE_NAME_RANKS
from tests.api.served import AT, served
from tests.api.test_rest import STATUS
from tests.data.conftest import shared_file
from tests.service.parts import until

BODIES = json.loads((Path(__file__).parent / "earlier_clients.json").read_text(encoding="utf-8"))["pretraining_start"]


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def parent_of_step_1000(lab) -> str:
    """A run of nano on shakespeare with a checkpoint of step 1000, as an id of the earlier form names it."""
    config = PretrainConfig.build({"corpus": "shakespeare", "save_checkpoints": True})
    record = {"kind": "pretrain", "name": "parent", "state": "completed", "config": config.model_dump(mode="json")}
    folder = lab._store.create(record)
    folder.checkpoints.write(1000, {"model.safetensors": lambda file: file.write(b"x")}, {"kinds": ["final"]})
    return folder.run_id


@pytest.mark.parametrize("name", BODIES)
def test_every_body_starts_what_it_meant(client, lab, stand_ins, name):
    body = BODIES[name]
    parent = parent_of_step_1000(lab) if body.get("resume_from") else None
    reply = client.post(f"{AT}/start", json=body)
    assert reply.status_code == 200, reply.text
    status = reply.json()
    assert set(status) >= STATUS and status["state"] in ("loading", "running")
    expected = {key: value for key, value in body.items() if value is not None}
    if parent:
        expected["resume_from"] = f"{parent}/step-00001000"
    defaults = {key: option.default for key, option in options_of(PretrainConfig).items()} | {"sample_prompts": None}
    for key, value in {**defaults, **expected}.items():
        assert key == "sample_prompts" or status["config"][key] == value, key
    client.post(f"{AT}/stop")
    until(lambda: lab.live() is None)
    assert client.get(f"{AT}/status").json()["state"] in ("completed", "error")


def test_a_corpus_that_cannot_be_had_is_accepted_and_ends_in_words(client, lab, monkeypatch):
    gone = [replace(row, address="http://127.0.0.1:9/x.txt") if row.address else row for row in corpora.CORPORA]
    monkeypatch.setattr(corpora, "CORPORA", tuple(gone))
    assert client.post(f"{AT}/start", json={}).json()["state"] in ("loading", "running")
    until(lambda: lab.live() is None)
    status = client.get(f"{AT}/status").json()
    assert status["state"] == "error" and status["phase"] == "failed"
    assert "could not be reached for verdict" in status["error"] and "python-docs" in status["error"]


@pytest.mark.slow
def test_a_body_with_nulls_trains_the_earlier_nano_to_its_end(client, lab):
    downloads = lab.cache_dir / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    shutil.copy(shared_file("gpt2.tiktoken"), downloads / FILE_NAME_RANKS)
    run_id = client.post(f"{AT}/start", json=BODIES["with_nulls"]).json()["run_id"]
    until(lambda: lab.live() is None, 100)
    details = client.get(f"{AT}/runs/{run_id}").json()
    assert details["state"] == "completed" and 30e6 < details["num_parameters"] < 31e6
    assert details["metrics"][-1]["final_val_loss"] and details["checkpoints"]
