"""Fine-tuning in every place: who may start, talk, take away and send, and that others see no path of this machine."""

from pathlib import Path

import pytest

from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from tests.api.served import served, told
from tests.api.tuning_parts import AT, BODY, body_at
from tests.api.whole_app import PUBLIC, door_of
from tests.service.parts import until

HOSTS = {Place.LAN: "192.168.1.5:7860", **PUBLIC}
TALK = {"messages": [{"role": "user", "content": "one"}], "max_tokens": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("places")


@pytest.fixture(scope="module")
def lab(root) -> Lab:
    """A lab with a finished run whose model and rows were named by path."""
    lab = Lab(root / "runs", root / "cache")
    lab.finetuning.start(body_at(root))
    until(lambda: lab.live() is None)
    assert lab.last().state == "completed", lab.last().error
    return lab


def client_at(lab, place, who="owner"):
    door = door_of(place)
    token = {"owner": door.owner_token, "viewer": door.viewer_token}[who]
    return served(lab, door, host=HOSTS[place], authorization=f"Bearer {token}")


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
@pytest.mark.parametrize("who", ["owner", "viewer"])
def test_who_may_not_name_paths_sees_none(lab, root, place, who):
    run_id = lab.rows()[0].run_id
    asked = ("status", f"status?run_id={run_id}", "checkpoints", f"checkpoints/{run_id}/step-00000006", "metrics",
             "samples", "log", "models", "options", "presets", "pushes", f"runs/{run_id}/repeat")  # fmt: skip
    with client_at(lab, place, who) as client:
        for name in asked:
            reply = client.get(f"{AT}/{name}")
            assert reply.status_code == 200 and str(root) not in reply.text, (name, reply.text)
        assert "--dataset=rows.jsonl" in client.get(f"{AT}/runs/{run_id}/repeat").json()["cli"]
        assert client.get(f"{AT}/status").json()["config"]["dataset"] == "rows.jsonl"
        (row, *_) = client.get(f"{AT}/checkpoints").json()
        assert row["path"] == row["id"] and row["model_name"] == "tiny"
        assert str(root) not in client.get(f"/api/pretraining/runs/{run_id}").text
    with served(lab) as client:
        assert str(root) in client.get(f"{AT}/status").text
    assert str(root) in str(lab.history.open(run_id))


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
def test_a_viewer_only_looks(lab, place):
    run_id = lab.rows()[0].run_id
    calls = (
        ("POST", "start", BODY), ("POST", "examples", BODY), ("POST", "generate", {"adapter_path": run_id}),
        ("POST", "chat", TALK), ("POST", "pause", {}), ("POST", "resume", {"run_id": run_id}), ("POST", "stop", {}),
        ("POST", "checkpoint/save-now", {}), ("POST", "sample-now", {}), ("DELETE", "checkpoints", None),
        ("DELETE", f"checkpoints/{run_id}/step-00000006", None), ("GET", "download", None),
        ("POST", "push", {"repo": "a/b"}),
    )  # fmt: skip
    with client_at(lab, place, "viewer") as client:
        for method, name, body in calls:
            told(client.request(method, f"{AT}/{name}", json=body), 403)
    assert len(lab.rows()) == 1 and lab.finetuning.adapters.rows()


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
def test_an_owner_from_afar_names_no_path(lab, root, place):
    body, run_id = body_at(root), lab.rows()[0].run_id
    with client_at(lab, place) as client:
        for call in ("start", "preview", "examples"):
            said = told(client.post(f"{AT}/{call}", json=body), 422)
            assert [problem["field"] for problem in said["errors"]] == ["model_name", "dataset"]
            assert "paths of this machine" in said["detail"]
        for call, more in (("generate", {}), ("chat", TALK)):
            path = {"adapter_path": str(lab.runs_dir / run_id / "adapter"), **more}
            told(client.post(f"{AT}/{call}", json=path), 403)
            assert client.post(f"{AT}/{call}", json={**path, "adapter_path": run_id}).status_code == 200
        assert client.get(f"{AT}/download?adapter_path={run_id}").content[:2] == b"PK"


def test_only_where_the_owner_is_certain_anything_is_sent_to_the_hub(lab, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with client_at(lab, Place.SHARE) as client:
        told(client.post(f"{AT}/push", json={"repo": "ann/x"}), 403)
        said = told(client.post(f"{AT}/start", json={"model_name": "some/model", "dataset": "some/rows"}), 422)
        assert [problem["field"] for problem in said["errors"]] == ["model_name", "dataset"]
    with client_at(lab, Place.LAN) as client:
        assert "set HF_TOKEN" in told(client.post(f"{AT}/push", json={"repo": "ann/x"}), 422)["detail"]
        assert "form is owner/name" in _with_token(monkeypatch, client.post, f"{AT}/push", {"repo": "x"})


def _with_token(monkeypatch, post, address, body) -> str:
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    return told(post(address, json=body), 422)["detail"]
