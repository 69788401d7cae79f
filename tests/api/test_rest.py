"""The REST calls over real tiny runs: replies in the earlier keys, refusals in words and with the right status."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_testing.api.live import answer_of
from llm_testing.api.rest import TABLE
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.service.lab import Lab
from llm_testing.store.ids import new_run_id
from llm_testing.store.times import utc_now
from tests.api.served import AT, BODY, LONG, served, told
from tests.service.parts import run, until

STATUS = {
    "state", "run_id", "current_step", "current_epoch", "total_steps", "train_loss", "val_loss", "tokens_seen",
    "elapsed_time", "config",
}  # fmt: skip
POINT = {
    "step", "epoch", "train_loss", "val_loss", "learning_rate", "tokens_seen", "tokens_per_sec", "elapsed_time",
}  # fmt: skip
ROW = {
    "run_id", "state", "created_at", "updated_at", "completed_at", "current_step", "total_steps", "tokens_seen",
    "final_train_loss", "final_val_loss", "config",
}  # fmt: skip
CHECKPOINT = {
    "id", "path", "step", "epoch", "train_loss", "val_loss", "timestamp", "corpus", "batch_size", "context_length",
    "optimizer",
}  # fmt: skip


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache_dir) -> tuple[Lab, str]:
    """A lab with one finished run, which no test changes."""
    lab = Lab(tmp_path_factory.mktemp("finished") / "runs", cache_dir)
    return lab, run(lab)


@pytest.fixture(scope="module")
def asked(finished):
    with served(finished[0]) as client:
        yield client


def running(client, lab, body=None) -> str:
    """Start a run and wait until it has trained a step."""
    reply = client.post(f"{AT}/start", json=body or LONG)
    assert reply.status_code == 200, reply.text
    run_id = reply.json()["run_id"]
    until(lambda: (lab.live() or lab.last()).step > 0)
    return run_id


def test_nothing_has_run_yet(client):
    assert (
        client.get(f"{AT}/status").json() | {"state": "idle", "run_id": None, "config": None}
        == client.get(f"{AT}/status").json()
    )
    assert set(client.get(f"{AT}/status").json()) >= STATUS
    assert client.get(f"{AT}/runs").json() == []
    health = client.get("/api/health").json()
    assert set(health) >= {"status", "timestamp", "version", "tracks"} and health["role"] == "owner"


def test_a_whole_run_by_rest_has_the_earlier_keys_and_words(client, lab):
    started = client.post(f"{AT}/start", json=LONG).json()
    assert set(started) >= STATUS and started["state"] in ("loading", "running")
    until(lambda: lab.live().step > 3)
    status = client.get(f"{AT}/status").json()
    assert status["state"] == "running" and status["phase"] == "running" and status["current_step"] > 3
    assert status["total_steps"] == LONG["max_steps"] and status["config"]["batch_size"] == BODY["batch_size"]
    saved = client.post(f"{AT}/checkpoint/save-now").json()
    assert saved["success"] and saved["step"] > 3 and "saved" in saved["message"]
    assert client.post(f"{AT}/sample-now", json={"prompt": "A"}).json()["success"]
    assert client.post(f"{AT}/pause").json()["state"] in ("running", "paused")
    until(lambda: client.get(f"{AT}/status").json()["state"] == "paused")
    assert client.post(f"{AT}/resume").json()["state"] == "running"
    told(client.post(f"{AT}/resume"), 409)
    assert client.post(f"{AT}/stop").json()["state"] in ("running", "completed")
    until(lambda: client.get(f"{AT}/status").json()["phase"] == "stopped")
    assert client.get(f"{AT}/status").json()["state"] == "completed"
    told(client.post(f"{AT}/pause"), 409)
    details = client.get(f"{AT}/runs/{started['run_id']}").json()
    assert [texts["prompt"] for texts in details["generations"] if texts["prompt"] == "A"] == ["A"]


def test_lists_and_details_have_the_earlier_keys(asked, finished):
    _, run_id = finished
    (row,) = asked.get(f"{AT}/runs?limit=1").json()
    assert set(row) >= ROW
    assert (row["run_id"], row["state"], row["phase"], row["current_step"]) == (run_id, "completed", "completed", 6)
    details = asked.get(f"{AT}/runs/{run_id}").json()
    assert set(details) >= ROW | {"metrics", "generations"}
    assert [point["step"] for point in details["metrics"]] == [0, 1, 2, 3, 4, 5, 6]
    assert all(set(point) >= POINT for point in details["metrics"])
    assert [point["epoch"] for point in details["metrics"]][:2] == [0, 1]
    assert details["generations"] and all(
        set(texts) >= {"step", "epoch", "text", "timestamp"} for texts in details["generations"]
    )


def test_metrics_come_by_cursor_and_only_once(asked, finished):
    first = asked.get(f"{AT}/metrics").json()
    assert first["run_id"] == finished[1] and len(first["metrics"]) == 7
    rest = asked.get(f"{AT}/metrics?run_id={finished[1]}&after={first['metrics'][4]['n']}").json()
    assert [point["step"] for point in rest["metrics"]] == [5, 6] and rest["rewound_to"] is None
    assert asked.get(f"{AT}/metrics?after={first['next']}").json()["metrics"] == []
    assert asked.get(f"{AT}/samples").json()["generations"] and asked.get(f"{AT}/log").json()["events"]


def test_a_checkpoint_is_found_by_every_form_of_its_id(asked, finished):
    (row,) = [r for r in asked.get(f"{AT}/checkpoints?config_name=custom").json() if "final" in r["kinds"]]
    assert set(row) >= CHECKPOINT and row["id"] == f"{finished[1]}/step-00000006"
    for form in (row["id"], "custom_tiny_b2_ctx16_step6", "custom_step6", "custom_6"):
        assert asked.get(f"{AT}/checkpoints/{form}").json() == row
    assert asked.get(f"{AT}/checkpoints").json() == []  # of nano, as ever
    assert row in asked.get(f"{AT}/checkpoints?config_name=all").json()
    assert asked.get(f"{AT}/checkpoints?run_id={finished[1]}").json()
    for missing in ("custom_step7", "custom_tiny_b3_ctx16_step6", "nano_6", f"{finished[1]}/step-00000007"):
        told(asked.get(f"{AT}/checkpoints/{missing}"), 404)
    for wrong in ("x", "custom", "custom_stepx", "custom_-1", "custom_6/7", "..%2f..%2frun.json", "custom_6%00", "٣_6"):
        assert "checkpoint id" in told(asked.get(f"{AT}/checkpoints/{wrong}"), 400)["detail"]


def test_the_newest_match_of_an_earlier_id_wins(client, lab):
    older = run(lab)
    until(lambda: new_run_id(utc_now())[:15] > older[:15])  # ids of one second stand in no order
    newer = run(lab)
    assert client.get(f"{AT}/checkpoints/custom_6").json()["run_id"] == newer > older


def test_a_fork_from_an_earlier_id_keeps_the_step_and_adds_epochs_that_were_reached(client, lab):
    parent = run(lab, max_steps=None, epochs=1)
    step = client.get(f"{AT}/checkpoints?config_name=custom").json()[0]["step"]
    body = {name: value for name, value in BODY.items() if name != "max_steps"}
    reply = client.post(f"{AT}/start", json={**body, "epochs": 1, "resume_from": f"custom_tiny_b2_ctx16_step{step}"})
    forked = reply.json()["run_id"]
    until(lambda: lab.live() is None)
    details = client.get(f"{AT}/runs/{forked}").json()
    assert details["parent"] == {"run_id": parent, "step": step, "how": "fork"}
    assert details["config"]["resume_from"] == f"{parent}/step-{step:08d}"
    assert details["current_step"] == details["total_steps"] == 2 * step
    warnings = [row["message"] for row in client.get(f"{AT}/log?run_id={forked}").json()["events"] if "message" in row]
    assert any("come on top" in message for message in warnings)
    told(client.delete(f"{AT}/runs/{parent}"), 409)
    assert client.delete(f"{AT}/checkpoints/all").json()["deleted_files"] == [f"{forked}/step-{2 * step:08d}"]
    told(client.delete(f"{AT}/checkpoints/{parent}/step-{step:08d}"), 409)


def test_an_extension_by_rest_goes_on_from_the_end(client, lab):
    run_id = run(lab)
    assert "larger total" in told(client.post(f"{AT}/resume", json={"run_id": run_id}), 409)["detail"]
    assert client.post(f"{AT}/resume", json={"run_id": run_id, "max_steps": 9}).json()["run_id"] == run_id
    until(lambda: lab.live() is None)
    assert client.get(f"{AT}/status?run_id={run_id}").json()["current_step"] == 9
    refused = told(client.post(f"{AT}/resume", json={"run_id": run_id, "batch_size": 4}), 422)
    assert refused["errors"][0]["field"] == "batch_size" and "fork" in refused["errors"][0]["message"]


def test_deleting_keeps_newest_and_best_unless_told_otherwise(client, lab):
    run_id = run(lab, save_every=2, keep_checkpoints=9)
    rows = client.get(f"{AT}/checkpoints?config_name=custom").json()
    free = [row["id"] for row in rows if row["needed"] is None]
    assert len(rows) > 2 and free
    assert client.delete(f"{AT}/checkpoints").json() == {"deleted_count": 0, "deleted_files": [], "deleted_bytes": 0}
    gone = client.delete(f"{AT}/checkpoints?config_name=custom").json()
    assert gone["deleted_files"] == free and gone["deleted_count"] == len(free)
    left = client.get(f"{AT}/checkpoints?run_id={run_id}").json()
    assert {row["needed"] for row in left} <= {"it is the newest of its run", "it is the best of its run"}
    assert client.delete(f"{AT}/checkpoints?config_name=custom&keep_latest=false").json()["deleted_count"] == len(left)


def test_an_active_run_keeps_its_checkpoints_and_its_folder(client, lab):
    run_id = running(client, lab)
    client.post(f"{AT}/checkpoint/save-now")
    assert client.delete(f"{AT}/checkpoints/all").json()["deleted_count"] == 0
    step = client.get(f"{AT}/checkpoints?run_id={run_id}").json()[0]["step"]
    told(client.delete(f"{AT}/checkpoints/{run_id}/step-{step:08d}"), 409)
    refused = told(client.delete(f"{AT}/runs/{run_id}"), 409)
    assert refused["run_id"] == run_id
    client.post(f"{AT}/stop", json={"mode": "discard"})
    until(lambda: lab.live() is None)
    assert [row["run_id"] for row in client.get(f"{AT}/trash").json()["runs"]] == [run_id]


def test_rename_delete_restore_and_the_trash(client, lab):
    run_id = run(lab)
    hostile = "<b>a</b> ../../x"
    assert client.post(f"{AT}/runs/{run_id}/rename", json={"name": hostile}).json()["name"] == hostile
    assert client.get(f"{AT}/runs").json()[0]["name"] == hostile
    told(client.post(f"{AT}/runs/{run_id}/rename", json={"name": "x" * 81}), 422)
    client.delete(f"{AT}/runs/{run_id}")
    told(client.get(f"{AT}/runs/{run_id}"), 404)
    client.post(f"{AT}/runs/{run_id}/restore")
    assert client.get(f"{AT}/runs/{run_id}").json()["name"] == hostile
    client.delete(f"{AT}/runs/{run_id}")
    assert client.delete(f"{AT}/trash").json()["deleted_count"] == 1
    told(client.post(f"{AT}/runs/{run_id}/restore"), 404)


def test_the_queue_is_listed_moved_and_left(client, lab):
    running(client, lab)
    ids = [client.post(f"{AT}/start", json={**BODY, "queue": True}) for _ in range(2)]
    assert [reply.json()["position"] for reply in ids] == [1, 2]
    assert {reply.json()["state"] for reply in ids} == {"idle"} and ids[0].json()["phase"] == "queued"
    first, second = (reply.json()["run_id"] for reply in ids)
    moved = client.post(f"{AT}/queue/move", json={"run_id": second, "position": 1}).json()["queued"]
    assert [row["run_id"] for row in moved] == [second, first] and moved[0]["position"] == 1
    told(client.post(f"{AT}/queue/move", json={"run_id": "20260101-000000-aaaa"}), 404)
    for run_id in (first, second):
        assert client.post(f"{AT}/stop", json={"run_id": run_id}).json()["phase"] == "stopped"
    assert client.get(f"{AT}/queue").json()["queued"] == []


def test_a_request_id_starts_one_run_however_often_it_comes(client, lab):
    body = {**LONG, "request_id": "once"}
    first = client.post(f"{AT}/start", json=body).json()["run_id"]
    assert {client.post(f"{AT}/start", json=body).json()["run_id"] for _ in range(3)} == {first}
    refused = told(client.post(f"{AT}/start", json=LONG), 409)
    assert refused["run_id"] == first and first in refused["detail"] and refused["phase"] in refused["detail"]


def test_two_hundred_starts_at_once_are_one_run_and_all_others_name_it(client, lab):
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: client.post(f"{AT}/start", json=LONG), range(200)))
    begun = [reply.json()["run_id"] for reply in replies if reply.status_code == 200]
    assert len(begun) == 1 and len(client.get(f"{AT}/runs").json()) == 1
    refused = [told(reply, 409) for reply in replies if reply.status_code != 200]
    assert len(refused) == 199 and {answer["run_id"] for answer in refused} == set(begun)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"batch_size": "8", "epochs": 0, "learning": 1, "precision": "fp8"},
         {"batch_size", "epochs", "learning", "precision"}),
        ({"batch_size": True, "seed": 1.5}, {"batch_size", "seed"}),
        ({"n_layer": 2}, {"n_layer"}),
        ({"preset": "fastest"}, {"preset"}),
        ({"queue": "yes"}, {"queue"}),
        ({"corpus": "no-such-text"}, {"corpus"}),
        ({"config_name": "custom", "n_embd": 30, "n_head": 4}, {"n_head"}),
    ],
)  # fmt: skip
def test_wrong_bodies_name_every_field(asked, body, fields):
    refused = told(asked.post(f"{AT}/start", json=body), 422)
    assert {problem["field"] for problem in refused["errors"]} == fields
    assert all(problem["message"] and problem["field"] in refused["detail"] for problem in refused["errors"])


@pytest.mark.parametrize(
    "data",
    [b"[]", b"1", b"null", b"{", b'{"a":NaN}', b'{"seed":1e999}', b"\xff", b"[" * 100_000, b'{"a":"\\ud800"}'],
)
def test_bodies_that_are_no_json_object_are_refused(asked, data):
    told(asked.post(f"{AT}/start", content=data, headers={"content-type": "application/json"}), 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_of_another_site_is_no_body(asked, kind):
    assert (
        "application/json"
        in told(asked.post(f"{AT}/start", content=b"{}", headers={"content-type": kind}), 422)["detail"]
    )


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/runs?limit=x", {"limit"}), ("/runs?limit=0", {"limit"}), ("/runs?limits=1&limit=1.5", {"limits", "limit"}),
        ("/runs?limit=1&limit=2", {"limit"}), ("/checkpoints?config_name=nanoo", {"config_name"}),
        ("/metrics?after=-2", {"after"}), ("/compare", {"runs"}), ("/status?x=1", {"x"}),
    ],
)  # fmt: skip
def test_wrong_queries_name_every_field(asked, path, fields):
    refused = told(asked.get(AT + path), 422)
    names = {problem["field"] for problem in refused["errors"]}
    assert names <= fields and names


@pytest.mark.parametrize("wrong", ["x", "..", "20260101-000000-aaa", "20260101-000000-aaaa%0a", "%2e%2e%2f%2e%2e"])
def test_an_id_that_cannot_be_one_is_400_and_one_that_is_not_there_404(asked, wrong):
    for suffix in ("", "/metrics.csv", "/download"):
        reply = asked.get(f"{AT}/runs/{wrong}{suffix}")
        assert reply.status_code in (400, 404), reply.text  # a path that leaves /runs is no address of ours
    assert asked.get(f"{AT}/metrics", params={"run_id": wrong}).status_code == 400
    assert asked.post(f"{AT}/generate", json={"checkpoint_id": wrong}).status_code == 400
    assert asked.post(f"{AT}/start", json={**BODY, "resume_from": wrong}).status_code == 400
    assert asked.get(f"{AT}/runs/20260101-000000-aaaa").status_code == 404


def test_generate_continues_the_prompt_and_counts_its_tokens(asked, finished):
    body = {"checkpoint_id": "custom_6", "prompt": "The", "max_tokens": 5, "temperature": 0}
    reply = asked.post(f"{AT}/generate", json=body).json()
    assert reply["prompt"] == "The" and reply["text"].startswith("The") and 1 <= reply["tokens_generated"] <= 5
    assert len(reply["text"]) == 3 + reply["tokens_generated"]  # one character a token
    assert asked.post(f"{AT}/generate", json={**body, "checkpoint_id": finished[1]}).json() == reply
    assert asked.post(f"{AT}/generate", json={**body, "checkpoint_id": None}).json() == reply
    told(asked.post(f"{AT}/generate", json={**body, "checkpoint_id": "nano_6"}), 404)
    refused = told(asked.post(f"{AT}/generate", json={"max_tokens": 0, "top_p": 0, "temperature": -1}), 422)
    assert {problem["field"] for problem in refused["errors"]} == {"max_tokens", "top_p", "temperature"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are Unicode")
def test_a_file_whose_name_is_no_text_is_named_in_the_refusal(asked, tmp_path):
    (tmp_path / os.fsdecode(b"odd\xff.txt")).write_bytes(b"\xff\xfe\0\1" * 50)
    assert "odd\\udcff.txt" in told(asked.post(f"{AT}/start", json={**BODY, "corpus": str(tmp_path)}), 422)["detail"]
    assert answer_of({"name": "odd\udcff"}).body == b'{"name":"odd?"}'


def test_downloads_hold_the_run_and_no_formula(client, lab):
    run_id = run(lab, sample_prompts=("=1+1", "The"))
    table = client.get(f"{AT}/runs/{run_id}/samples.csv")
    assert table.headers["content-type"].startswith("text/csv") and "attachment" in table.headers["content-disposition"]
    assert ",'=1+1," in table.text and "\n=" not in table.text
    assert client.get(f"{AT}/runs/{run_id}/metrics.csv").text.count("\n") == 8
    whole = client.get(f"{AT}/runs/{run_id}/download").content
    assert whole[:2] == b"PK" and len(whole) > len(client.get(f"{AT}/runs/{run_id}/download?checkpoints=no").content)


def test_the_description_holds_every_call_and_every_option(asked):
    described = asked.get("/openapi.json").json()
    for call in TABLE:
        address = call.address.replace(":path}", "}")
        assert call.method.lower() in described["paths"][address]
        assert described["paths"][address][call.method.lower()]["summary"].endswith(".")
    properties = described["components"]["schemas"]["StartRequest"]["properties"]
    options = options_of(PretrainConfig)
    assert set(properties) == {*options, "preset", "queue", "request_id", "force"}
    for name, option in options.items():
        assert properties[name]["title"] == option.show.title and properties[name]["description"]
        default = list(option.default) if isinstance(option.default, tuple) else option.default
        assert properties[name]["default"] == default
    changeable = {name for name, option in options.items() if option.show.resume == "change"}
    assert set(described["components"]["schemas"]["ResumeRequest"]["properties"]) == {"run_id", *changeable}
    json.dumps(described, allow_nan=False)


def test_a_preset_fills_what_was_not_given(asked):
    seen = asked.post(f"{AT}/preview", json={"preset": "fast", "batch_size": 3, "n_layer": 1}).json()
    config = seen["config"]
    assert (config["batch_size"], config["n_layer"], config["corpus"]) == (3, 1, "python-docs") and seen["sentences"]
    assert asked.post(f"{AT}/preview", json={"n_layer": 1}).json()["problems"][0]["field"] == "n_layer"
    assert asked.get("/api/presets").json()["presets"]["fast"]["values"]["n_layer"] == 2
    names = {row["name"] for row in asked.get("/api/options").json()["options"]}
    assert names == set(options_of(PretrainConfig))


def test_corpora_are_listed_and_looked_into(asked):
    rows = {row["name"]: row for row in asked.get("/api/corpora").json()["corpora"]}
    assert rows["tiny"]["at_hand"] and "pg19_train_small_docs_normalized" in rows
    assert asked.get("/api/corpora/preview?name=tiny").json()["text"]
    told(asked.get("/api/corpora/preview?name=none"), 422)


def test_a_damaged_run_hides_no_other(client, lab):
    bad, good = run(lab), run(lab)
    Path(lab.runs_dir, bad, "run.json").write_text("{")
    rows = {row["run_id"]: row for row in client.get(f"{AT}/runs").json()}
    assert rows[good]["state"] == "completed" and rows[bad]["state"] == "error" and rows[bad]["damaged"]
    assert client.get(f"{AT}/checkpoints?config_name=custom").json()
