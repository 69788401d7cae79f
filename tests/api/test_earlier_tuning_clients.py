"""Fine-tuning bodies and queries of the earlier project's clients, unchanged, answered in the same keys.

Their model and dataset come from a stand-in for the Hub: a tiny model under the name that they send.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from tests.api.tuning_parts import STATUS, WORDS
from tests.data.tiny_model import tiny_model
from tests.hub.stand_in import HubServer, running

pytestmark = pytest.mark.proof

ROOT = Path(__file__).parents[2]
EARLIER = json.loads((Path(__file__).parent / "earlier_clients.json").read_text(encoding="utf-8"))
BODIES, QUERY = EARLIER["fine_tuning_start"], EARLIER["queries"]["fine_tuning_estimate"]
MODEL, DATASET = "unsloth/Qwen2.5-7B-Instruct", "yahma/alpaca-cleaned"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What a client got, and what the Hub was asked for."""
    root, hub = tmp_path_factory.mktemp("clients"), tmp_path_factory.mktemp("hub")
    tiny_model(hub / MODEL, context=2048)
    (hub / DATASET).mkdir(parents=True)
    rows = [
        {"instruction": f"Say {a}", "input": b if a == "one" else "", "output": f"{b} {a}"}
        for a in WORDS
        for b in WORDS
    ]
    (hub / DATASET / "alpaca_data_cleaned.json").write_text(json.dumps(rows), encoding="utf-8")
    with running(HubServer(hub)) as server:
        server.cuts["model.safetensors"] = [20_000]
        more = {"HF_ENDPOINT": server.url, "HF_HOME": str(root / "home"), "HF_HUB_DISABLE_XET": "1"}
        more |= {"LLM_TESTING_CACHE": str(root / "cache"), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        done = subprocess.run(
            [sys.executable, "-m", "tests.api.tuning_client", str(root), json.dumps(BODIES), QUERY],
            env={**os.environ, **more}, cwd=ROOT, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"log": server.log}


@pytest.mark.parametrize("name", BODIES)
def test_every_body_trains_what_it_meant_to_its_end(said, name):
    run = said[name]
    for when in ("start", "status"):
        assert set(run[when]) >= STATUS, when
    assert run["start"]["state"] in ("loading", "running")
    assert run["status"]["state"] == "completed", run["status"].get("error")
    defaults = {key: option.default for key, option in options_of(FinetuneConfig).items()}
    for key, value in json.loads(json.dumps({**defaults, **BODIES[name]})).items():
        assert run["status"]["config"][key] == value, key
    assert run["status"]["current_step"] == run["status"]["total_steps"] > 0
    assert 0 < run["status"]["trainable_params"] < run["status"]["total_params"]
    assert set(run["save"]) >= {"message", "step"} or "detail" in run["save"]  # it may have ended by then
    for row in run["checkpoints"]:
        assert set(row) >= {"id", "path", "step", "train_loss", "eval_loss", "timestamp"}
    for key in ("id", "path"):
        answer = run[f"generate {key}"]
        assert set(answer) >= {"text", "tokens_generated", "prompt", "adapter_path"}
        assert answer["adapter_path"] == run["checkpoints"][0][key]
    assert run["record"]["model"]["revision"] and run["record"]["data"]["data_format"] == "alpaca"


def test_the_other_calls_have_their_keys(said):
    assert set(said["idle"]) >= STATUS and said["idle"]["state"] == "idle" and said["idle"]["config"] is None
    keys = {"name", "hf_id", "family", "params_billion", "recommended_max_seq", "recommended_lora_r", "tags"}
    assert all(set(row) >= keys for row in said["models"])
    keys = {"model_mb", "lora_mb", "optimizer_mb", "activations_mb", "overhead_mb", "total_mb", "total_gb", "warning"}
    # The size is that of the model of this name, whatever the stand-in serves under it.
    assert set(said["estimate"]) >= keys and 4 < said["estimate"]["total_gb"] < 16
    assert set(said["bare generate"]) >= {"text", "tokens_generated", "prompt", "adapter_path"}
    assert said["bare generate"]["prompt"].startswith("Explain what machine learning is")
    assert said["delete"]["deleted_count"] >= len(BODIES) and said["left"] == []


def test_the_model_is_brought_once_and_gone_on_with_after_a_cut(said):
    asked = [rng for _, path, rng in said["log"] if path.endswith("/model.safetensors")]
    assert len(asked) == 2 and asked[0] is None and asked[1].startswith("bytes=")
