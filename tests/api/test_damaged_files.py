"""Damaged files through the REST calls that read them: 422 and a sentence, never a 500."""

import gzip
import hashlib
import json
import os

import huggingface_hub.constants
import pytest

from llm_testing.store.runs import RunStore
from tests.api.served import AT, served, told
from tests.api.tuning_parts import AT as TUNING
from tests.api.tuning_parts import body_at
from tests.data.test_damaged_texts import BAD_LINES, BAD_ROWS, BAD_TEXTS
from tests.hub.stand_in import FileServer, running
from tests.model.test_damaged_models import BAD_CONFIGS, BAD_JSON, BAD_SAFETENSORS
from tests.service.bad_zips import ID, bad_zips, good
from tests.service.parts import resume, run
from tests.train.test_damaged_state import bomb

BAD = bad_zips()
ROWS = (
    "cut.json", "latin.csv", "magic.parquet", "role-list.jsonl", "surrogate.jsonl", "surrogate-in-a-name.jsonl",
    "deep.jsonl", "image-bytes.jsonl",
)  # fmt: skip
SETTINGS = ("cut", "deep", "UTF-16", "a long number")
WEIGHTS = ("a header of 2**63", "a product that overflows", "a pickle")
CONFIGS = (
    "a billion layers", "a billion layers with a list of kinds", "a width beyond 64 bits", "no heads", "no width",
    "a kind that is a list", "a rope that is text", "infinite numbers",
)  # fmt: skip


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def restore(client, data):
    return client.post(f"{AT}/archive", content=data, headers={"content-type": "application/zip"})


def test_every_damaged_zip_is_refused_and_a_good_one_comes_afterwards(client, lab):
    for name, data in BAD.items():
        reply = restore(client, data)
        if reply.status_code == 200:
            answer = reply.json()
            assert answer["restored"] == [] and list(answer["skipped"]) == [ID], name
        else:
            assert len(told(reply, 422)["detail"]) > 20, name
        assert list(lab.runs_dir.iterdir()) == [], name
    assert restore(client, good()).json() == {"restored": [ID], "skipped": {}}


def sentence(reply, *words):
    said = told(reply, 422)["detail"]
    assert len(said) < 1500 and all(word in said for word in words), said
    return said


def test_every_damaged_file_of_rows_is_refused_or_its_line_is_shown(client, tmp_path):
    body = body_at(tmp_path)
    for name in ROWS:
        (tmp_path / name).write_bytes((BAD_ROWS | BAD_LINES)[name])
        reply = client.post(f"{TUNING}/examples", json={**body, "dataset": str(tmp_path / name)})
        if reply.status_code == 200:
            assert [name in problem["where"] for problem in reply.json()["problems"]] == [True], name
        else:
            sentence(reply)
    os.mkfifo(tmp_path / "pipe.jsonl")
    sentence(client.post(f"{TUNING}/examples", json={**body, "dataset": str(tmp_path / "pipe.jsonl")}))


def test_an_upload_that_is_damaged_is_refused_where_it_is_used(client, tmp_path):
    name = client.post("/api/uploads", params={"name": "a.parquet"}, content=b"PAR1 and no more").json()["name"]
    sentence(client.post(f"{TUNING}/examples", json={**body_at(tmp_path), "dataset": name}), "a.parquet")
    packed = gzip.compress(b"text " * 999)[:-9]
    name = client.post("/api/uploads", params={"name": "a.txt.gz"}, content=packed).json()["name"]
    sentence(client.get("/api/corpora/preview", params={"name": name}), "a.txt.gz is not a whole gzip file")


def test_every_damaged_text_is_refused_where_it_is_shown(client, tmp_path):
    for name, data in BAD_TEXTS.items():
        (tmp_path / name).write_bytes(data)
        sentence(client.get("/api/corpora/preview", params={"name": str(tmp_path / name)}), name)


def test_every_damaged_model_is_refused_before_there_is_a_run(client, lab, tmp_path):
    body = body_at(tmp_path)
    model = tmp_path / "tiny"
    for file, data in [
        ("config.json", BAD_JSON["deep"]),
        ("tokenizer_config.json", BAD_JSON["a long number"]),
        ("model.safetensors.index.json", b'{"weight_map": {"a": ["b"]}}'),
        *(("tokenizer.json", BAD_JSON[name]) for name in SETTINGS),
        *(("model.safetensors", BAD_SAFETENSORS[name]) for name in WEIGHTS),
    ]:
        good = (model / file).read_bytes() if (model / file).exists() else None
        (model / file).write_bytes(data)
        sentence(client.post(f"{TUNING}/start", json=body), "tokenizer" if file == "tokenizer.json" else file)
        (model / file).write_bytes(good) if good is not None else (model / file).unlink()
    assert lab.rows() == [] and client.post(f"{TUNING}/examples", json=body).status_code == 200


def test_a_config_that_lies_is_refused_by_the_estimator(client, tmp_path):
    body = body_at(tmp_path)
    file = tmp_path / "tiny" / "config.json"
    good = json.loads(file.read_text())
    for name in CONFIGS:
        file.write_text(json.dumps({**good, **BAD_CONFIGS[name]}))
        reply = client.post(f"{TUNING}/estimate", json={**body, "quick": True})
        if reply.status_code != 200:
            sentence(reply)
        else:
            assert not name.startswith("a billion"), name
    for name in SETTINGS:
        file.write_bytes(BAD_JSON[name])
        sentence(client.post(f"{TUNING}/estimate", json={**body, "quick": True}), "config.json")
    file.unlink()
    os.mkfifo(file)
    sentence(client.post(f"{TUNING}/estimate", json={**body, "quick": True}), "config.json")


def test_a_config_of_the_hub_that_is_damaged_is_refused(client, tmp_path, monkeypatch):
    body = body_at(tmp_path)
    with running(FileServer()) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        for number, data in enumerate([*(BAD_JSON[name] for name in SETTINGS), b'{"a": "' + b"x" * 2**23 + b'"}']):
            server.files[f"/owner/bad{number}/resolve/main/config.json"] = data
            asked = {**body, "model_name": f"owner/bad{number}", "quick": True}
            sentence(client.post(f"{TUNING}/estimate", json=asked), f"owner/bad{number}")


def test_a_run_whose_state_is_a_bomb_comes_in_and_fails_in_words_when_it_goes_on(client, lab):
    """Its zip is well formed, its sums agree; what is in the file is found out when it is read."""
    run_id = run(lab)
    checkpoint = sorted((lab.runs_dir / run_id / "checkpoints").iterdir())[-1]
    (checkpoint / "state.pt").write_bytes(data := bomb())
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"]["state.pt"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    resume(lab, run_id, max_steps=9)
    record = RunStore(lab.runs_dir).open(run_id).record()
    assert record["state"] == "failed" and "state.pt of step-" in record["error"]


@pytest.mark.parametrize("name", ["~nobody-here/x", "./" + "n" * 300, "./" + "n/" * 3000, "./\x00"])
def test_a_path_that_cannot_be_is_refused_in_words(client, tmp_path, name):
    body = body_at(tmp_path)
    for field in ("model_name", "dataset"):
        for call in ("start", "examples"):
            told(client.post(f"{TUNING}/{call}", json={**body, field: name}), 422)
    told(client.post(f"{TUNING}/estimate", json={**body, "model_name": name, "quick": True}), 422)
    told(client.post(f"{TUNING}/start", json={**body, "model_name": f"{name}.gguf"}), 422)
    told(client.get("/api/corpora/preview", params={"name": name}), 422)
