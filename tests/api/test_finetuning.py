"""Fine-tuning by REST over tiny real runs: replies in the earlier keys, refusals in words and with the right status."""

import json
from pathlib import Path

import pytest

from llm_testing.service.lab import Lab
from tests.api.served import served, told
from tests.api.tuning_parts import AT, STATUS, body_at
from tests.service.parts import run, until


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tuning")


@pytest.fixture(scope="module")
def tuned(root):
    """A lab with one finished fine-tuning run, which no test changes, and a client of it."""
    lab = Lab(root / "runs", root / "cache")
    with served(lab) as client:
        started = client.post(f"{AT}/start", json=body_at(root, max_steps=24, save_every=8, learning_rate=3e-2))
        assert started.status_code == 200, started.text
        until(lambda: lab.live() is None)
        yield lab, client, started.json()["run_id"]


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def test_models_have_the_earlier_keys(tuned):
    rows = tuned[1].get(f"{AT}/models").json()
    keys = {"name", "hf_id", "family", "params_billion", "recommended_max_seq", "recommended_lora_r", "tags"}
    assert len(rows) >= 12 and all(set(row) >= keys for row in rows)


def test_a_whole_run_has_the_earlier_keys_and_words(tuned):
    lab, client, run_id = tuned
    status = client.get(f"{AT}/status").json()
    assert set(status) >= STATUS and status["state"] == "completed" and status["run_id"] == run_id, status["error"]
    assert status["current_step"] == status["total_steps"] == 24 and status["config"]["lora_r"] == 4
    assert 0 < status["trainable_params"] < status["total_params"]
    assert status["eval_loss"] == status["val_loss"] and status["learning_rate"] is not None
    again = Lab(lab.runs_dir, lab.cache_dir)
    with served(again) as client_after_a_restart:
        assert client_after_a_restart.get(f"{AT}/status").json() | {"state": "idle", "run_id": None} is not None
        later = client_after_a_restart.get(f"{AT}/status?run_id={run_id}").json()
    for key in STATUS - {"elapsed_time"}:
        assert later[key] == status[key], key


def test_live_numbers_come_by_cursor(tuned):
    _, client, run_id = tuned
    news = client.get(f"{AT}/metrics").json()
    assert news["run_id"] == run_id and [row["step"] for row in news["metrics"]] == list(range(25))
    assert news["metrics"][3]["eval_loss"] is not None and news["metrics"][2]["learning_rate"] > 0
    assert client.get(f"{AT}/metrics?after={news['next']}").json()["metrics"] == []
    assert client.get(f"{AT}/samples").json()["generations"][0]["prompt"] == "What is your name?"
    assert {"session", "saved", "ended"} <= {row["event"] for row in client.get(f"{AT}/log").json()["events"]}


def test_checkpoints_have_the_earlier_keys(tuned):
    _, client, run_id = tuned
    rows = client.get(f"{AT}/checkpoints").json()
    assert all(set(row) >= {"id", "path", "step", "train_loss", "eval_loss", "timestamp"} for row in rows)
    assert rows[0]["id"] == f"{run_id}/step-00000024" and rows[0]["eval_loss"] is not None and rows[0]["epoch"] > 0
    assert client.get("/api/pretraining/checkpoints?config_name=all").json() == []


def test_an_adapter_answers_under_every_name_it_has(tuned, root):
    lab, client, run_id = tuned
    name = lab.details(run_id)["name"]
    names = [run_id, f"{run_id}/step-00000024", f"{name}/checkpoint-24", f"{run_id}/checkpoint-final"]
    names += ["tiny_r4_n500/checkpoint-24", "adapter/checkpoint-24"]
    names += [str(lab.runs_dir / run_id / inside) for inside in ("adapter", "checkpoints/step-00000024", ".")]
    ask = {"prompt": "one two", "max_tokens": 12, "temperature": 0}
    answers = [client.post(f"{AT}/generate", json={**ask, "adapter_path": given}) for given in names]
    assert {reply.status_code for reply in answers} == {200}, [reply.text for reply in answers]
    said = [reply.json() for reply in answers]
    assert len({reply["text"] for reply in said}) == 1 and said[0]["text"].startswith("My name is")
    assert [reply["adapter_path"] for reply in said] == names
    assert all(set(reply) >= {"text", "tokens_generated", "prompt", "adapter_path"} for reply in said)
    base = client.post(f"{AT}/generate", json=ask).json()
    assert base["adapter_path"] is None and base["text"] != said[0]["text"]


@pytest.mark.parametrize(
    ("name", "status"),
    [("../../etc/passwd", 400), ("/etc/passwd", 400), ("nobody/checkpoint-3", 404), ("20260101-000000-aaaa", 404)],
)
def test_a_name_of_no_adapter_is_refused(tuned, name, status):
    told(tuned[1].post(f"{AT}/generate", json={"adapter_path": name, "max_tokens": 1}), status)


def lines_of(reply) -> list[dict]:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in reply.text.splitlines()]


def texts_of(lines: list[dict]) -> dict[str, str]:
    return {
        side: "".join(x["text"] for x in lines if x.get("side") == side and "text" in x) for side in lines[0]["sides"]
    }


def test_base_and_adapter_answer_side_by_side_in_turns(tuned):
    _, client, run_id = tuned
    ask = {"messages": [{"role": "user", "content": "one two"}], "max_tokens": 12, "temperature": 0}
    lines = lines_of(client.post(f"{AT}/chat", json=ask))
    assert lines[0] == {
        "checkpoint_id": f"{run_id}/step-00000024", "run_id": run_id, "step": 24, "sides": ["base", "adapter"],
    }  # fmt: skip
    sides = [line["side"] for line in lines if "text" in line]
    assert sides[:4] == ["base", "adapter", "base", "adapter"]
    texts = texts_of(lines)
    for side in ("adapter", "base"):
        (last,) = [line for line in lines if line.get("side") == side and line.get("done")]
        assert 0 < last["tokens_generated"] <= 12 and last["seconds"] >= 0
        alone = texts_of(lines_of(client.post(f"{AT}/chat", json={**ask, "sides": side})))
        assert alone == {side: texts[side]}
    generated = client.post(f"{AT}/generate", json={"adapter_path": run_id, "prompt": "one two", "max_tokens": 12,
                                                   "temperature": 0}).json()["text"]  # fmt: skip
    assert texts["adapter"] == generated != texts["base"] and lines[-1] == {"done": True}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"messages": []}, 422, "messages must end with a turn of the user"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 422, "messages must end with a turn of the user"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 422, "Conversation takes a list"),
        ({"temperature": -1}, 422, "Temperature takes a number from 0 to 10"),
        ({"adapter_path": "live"}, 409, "No model is being tuned now"),
        ({"adapter_path": "20260101-000000-aaaa"}, 404, "20260101-000000-aaaa"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_the_answer_begins(tuned, body, status, said):
    ask = {"messages": [{"role": "user", "content": "one"}], "max_tokens": 2, **body}
    assert said in told(tuned[1].post(f"{AT}/chat", json=ask), status)["detail"]


def test_a_draft_is_previewed_without_starting_it(tuned, root):
    lab, client, _ = tuned
    seen = client.post(f"{AT}/preview", json=body_at(root)).json()
    assert seen["problems"] == [] and seen["effective_batch"] == 8 and seen["config"]["lora_r"] == 4
    assert seen["copies"]["cli"].startswith("python -m llm_testing finetune --preset none")
    assert 0 < seen["num_trainable"] < seen["num_parameters"]
    assert seen["num_parameters"] == lab.result(tuned[2])["num_parameters"]
    seen = client.post(f"{AT}/preview", json={"model_name": "Qwen2.5-7B-Instruct"}).json()
    # 28 blocks, of which a few are built: what peft itself counts for rank 32 on all linear layers.
    assert seen["num_trainable"] == 80_740_352 and seen["num_parameters"] == 7_615_616_512 + 80_740_352
    assert seen["recommended"] == {"max_seq_length": 1024, "lora_r": 32, "lora_alpha": 32}
    seen = client.post(f"{AT}/preview", json={"adapter": "full", "base_dtype": "fp16", "columns": ["x"]}).json()
    assert [problem["field"] for problem in seen["problems"]] == ["columns", "base_dtype"]
    assert len(lab.rows()) == 1


def test_rows_are_shown_as_the_model_sees_them(tuned, root, tmp_path):
    client = tuned[1]
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "one", "completion": "two"}\n{"prompt": "one"}\n{nonsense\n', encoding="utf-8")
    seen = client.post(f"{AT}/examples", json=body_at(root, dataset=str(file), num_shown=1)).json()
    (row,) = seen["sequences"]
    assert "".join(text for text, learned in row["pieces"] if learned) == "two<|im_end|>"
    assert [problem["message"][:22] for problem in seen["problems"]] == [
        "Line 2 of rows.jsonl h",
        "Line 3 of rows.jsonl i",
    ]
    assert seen["num_rows"] == 3 and 0 < seen["share_masked"] < 1 and seen["histogram"]


def test_a_command_of_one_track_leaves_the_other_tracks_run_alone(client, lab, root):
    run_id = client.post(f"{AT}/start", json=body_at(root, max_steps=100_000, eval_steps=50_000)).json()["run_id"]
    until(lambda: lab.live().step > 0)
    assert client.get("/api/pretraining/status").json()["state"] == "idle"
    refused = told(client.post("/api/pretraining/stop"), 409)
    assert refused["run_id"] == run_id and "a fine-tuning run" in refused["detail"]
    saved = client.post(f"{AT}/checkpoint/save-now").json()
    assert saved["message"] and saved["step"] > 0
    assert client.post(f"{AT}/sample-now", json={"prompt": "one two"}).status_code == 200
    until(lambda: any(row["prompt"] == "one two" for row in client.get(f"{AT}/samples").json()["generations"]))
    live = {"messages": [{"role": "user", "content": "one"}], "max_tokens": 3, "adapter_path": "live"}
    assert lines_of(client.post(f"{AT}/chat", json=live))[-1] == {"done": True}
    assert client.post(f"{AT}/pause").json()["phase"] in ("pausing", "paused")
    until(lambda: lab.live().state == "paused")
    paused = lines_of(client.post(f"{AT}/chat", json=live))
    assert paused[0]["step"] == lab.live().step and paused[-1] == {"done": True}
    assert client.post(f"{AT}/resume").json()["state"] == "running"
    assert told(client.post(f"{AT}/start", json=body_at(root)), 409)["run_id"] == run_id
    client.post(f"{AT}/stop")
    until(lambda: lab.live() is None)
    assert client.get(f"{AT}/status").json()["state"] == "completed"
    assert client.delete(f"{AT}/checkpoints").json()["deleted_count"] > 0
    assert client.get(f"{AT}/checkpoints").json() == []


def test_a_pretrained_run_is_tuned_by_its_id(client, lab, root):
    pretrained = run(lab, context_length=256)
    body = body_at(root, model_name=pretrained, max_seq_length=256, max_steps=2, batch_size=2, n_examples=6)
    started = client.post(f"{AT}/start", json=body)
    assert started.status_code == 200, started.text
    until(lambda: lab.live() is None)
    assert client.get(f"{AT}/status").json()["state"] == "completed", client.get(f"{AT}/status").json()["error"]
