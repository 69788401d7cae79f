"""A text or rows come from somebody's own computer: sent, learned from, removed; capped and named by the place."""

import json
from collections.abc import Iterator

import pytest

from llm_testing.api.gate import UPLOADS
from llm_testing.api.rest import TABLE
from llm_testing.service import roles
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from tests.api.served import BODY, fingerprint, served, told
from tests.api.tuning_parts import AT as TUNING
from tests.api.tuning_parts import body_at
from tests.api.whole_app import PUBLIC, door_of
from tests.service.parts import until

AT = "/api/uploads"
TEXT = ("To be, or not to be, that is the question. " * 60).encode()
HOSTS = {Place.LAN: "192.168.1.5:7860", **PUBLIC}


@pytest.fixture
def lab(tmp_path) -> Lab:
    return Lab(tmp_path / "runs", tmp_path / "cache")


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def sent(client, name: str, data: bytes | Iterator[bytes]):
    return client.post(AT, params={"name": name}, content=data)


def names(client) -> list[str]:
    return [upload["name"] for upload in client.get(AT).json()["uploads"]]


def test_a_text_is_sent_previewed_learned_from_and_removed(client, lab):
    assert client.get(AT).json()["may_upload"] is True and names(client) == []
    assert sent(client, "my words.txt", TEXT).json() == {"name": "upload:my-words.txt", "bytes": len(TEXT)}
    seen = client.get("/api/corpora/preview", params={"name": "upload:my-words.txt"}).json()
    assert seen["text"].startswith("To be,") and seen["bytes"] == len(TEXT)
    run_id = client.post("/api/pretraining/start", json={**BODY, "corpus": "upload:my-words.txt"}).json()["run_id"]
    until(lambda: lab.live() is None)
    row = lab.rows()[0]
    assert row.run_id == run_id and row.state == "completed" and row.name == "my-words.txt-1x16"
    assert client.delete(AT, params={"name": "upload:my-words.txt"}).json()["bytes"] == len(TEXT)
    assert names(client) == []
    refused = told(client.post("/api/pretraining/start", json={**BODY, "corpus": "upload:my-words.txt"}), 422)
    assert refused["errors"][0]["field"] == "corpus" and "Upload the file again" in refused["detail"]
    assert "upload:my-words.txt" in told(client.delete(AT, params={"name": "upload:my-words.txt"}), 404)["detail"]


def test_rows_are_sent_looked_at_and_tuned_on(client, lab, tmp_path):
    rows = [{"prompt": f"{i} and {i}?", "completion": f"It is {2 * i}."} for i in range(12)]
    data = "\n".join(json.dumps(row) for row in rows).encode()
    assert sent(client, "sums.jsonl", data).json()["name"] == "upload:sums.jsonl"
    body = {**body_at(tmp_path), "dataset": "upload:sums.jsonl"}
    seen = client.post(f"{TUNING}/examples", json=body)
    assert seen.status_code == 200 and seen.json()["num_rows"] == 12
    client.post(f"{TUNING}/start", json=body).raise_for_status()
    until(lambda: lab.live() is None)
    assert lab.last().state == "completed", lab.last().error
    assert lab.rows()[0].name == "tiny-sums" and lab.rows()[0].dataset == "upload:sums.jsonl"


def test_rows_that_teach_nothing_are_told_with_their_line(client, tmp_path):
    sent(client, "bad.jsonl", b'{"prompt": "a", "completion": "b"}\nno row\n')
    refused = told(client.post(f"{TUNING}/start", json={**body_at(tmp_path), "dataset": "upload:bad.jsonl"}), 422)
    assert refused["errors"][0]["field"] == "dataset" and "line 2 of bad.jsonl" in refused["detail"].lower()


def test_the_same_file_is_kept_once_and_another_of_its_name_beside_it(client):
    for data, name in (
        (b"one", "a.txt"),
        (b"two", "a-2.txt"),
        (b"one", "a.txt"),
        (b"two", "a-2.txt"),
        (b"3", "a-3.txt"),
    ):
        assert sent(client, "a.txt", data).json()["name"] == f"upload:{name}"
    assert names(client) == ["upload:a-2.txt", "upload:a-3.txt", "upload:a.txt"]


@pytest.mark.parametrize("name", ["model.pkl", "a", "..", "a.zip", "x" * 5000])
def test_a_file_of_no_known_kind_is_refused_at_its_name(client, lab, name):
    refused = told(sent(client, name, TEXT), 422)
    assert refused["errors"][0]["field"] == "name" and "\n" not in refused["detail"]
    assert fingerprint(lab.cache_dir) == {}


def test_what_is_empty_too_large_or_does_not_fit_leaves_nothing(client, lab, monkeypatch):
    assert "empty" in told(sent(client, "a.txt", b""), 422)["detail"]
    monkeypatch.setattr(roles, "_MOST_UPLOADED", {Place.LOCAL: 1000})
    for data in (b"x" * 1001, (b"x" * 400 for _ in range(3))):
        reply = sent(client, "a.txt", data)
        assert reply.status_code == 413 and "1,000 bytes" in reply.text
    monkeypatch.setattr("llm_testing.hub.disk.free_bytes", lambda path: 64 * 2**20)
    assert "MiB are free" in told(sent(client, "a.txt", b"x" * 900), 422)["detail"]
    assert fingerprint(lab.cache_dir) == {} and names(client) == []


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
@pytest.mark.parametrize("who", ["owner", "viewer"])
def test_a_place_says_who_may_send_how_much(lab, place, who):
    with served(lab) as client:
        sent(client, "a.txt", TEXT)
    door = door_of(place)
    token = {"owner": door.owner_token, "viewer": door.viewer_token}[who]
    with served(lab, door, host=HOSTS[place], authorization=f"Bearer {token}") as client:
        told_here = client.get(AT)
        if who == "viewer":
            assert told_here.status_code == 403
        else:
            assert told_here.json()["most_bytes"] == 200 * 2**20
            assert told_here.json()["may_upload"] == (place == Place.LAN)
            # Its name is no path: whoever may start a run may learn from it.
            assert client.get("/api/corpora/preview?name=upload:a.txt").json()["bytes"] == len(TEXT)
        lets_in = who == "owner" and place == Place.LAN
        assert sent(client, "b.txt", TEXT).status_code == (200 if lets_in else 403)
        assert client.delete(AT, params={"name": "upload:a.txt"}).status_code == (200 if lets_in else 403)
    kept = {upload.name for upload in lab.uploads.all()}
    assert kept == ({"upload:b.txt"} if lets_in else {"upload:a.txt"})


def test_every_upload_passes_the_gate_in_pieces():
    assert {(call.method, call.address) for call in TABLE if call.streams} == set(UPLOADS)
