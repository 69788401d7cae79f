"""Fine-tuning through the command line: a run, its answers, its exports, and how it goes on."""

import json
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM

from llm_testing.cli.main import main
from tests.api.tuning_parts import body_at
from tests.cli.test_training import KEYS
from tests.data.tiny_model import write_rows

# peft 0.21 asks transformers for an attribute's old name: https://github.com/huggingface/peft
pytestmark = [
    pytest.mark.proof,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def run_id(root) -> str:
    """A finished run, which no test changes."""
    file = root / "run.json"
    file.write_text(json.dumps(body_at(root, max_steps=24, learning_rate=3e-2)), encoding="utf-8")
    assert main(["finetune", "--preset", "none", "--config", str(file), "--runs-dir", str(root / "runs")]) == 0
    (folder,) = (root / "runs").glob("2*")
    return folder.name


def test_json_is_one_object_with_the_keys_of_the_contract(root, say, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(body_at(root)), encoding="utf-8")
    args = ("finetune", "--preset", "none", "--config", file, "--max-steps", "2", "--runs-dir", tmp_path, "--json")
    said = say(*args)
    assert said.status == 0, said.err
    result = said.json()
    assert list(result) == KEYS and (result["state"], result["step"]) == ("completed", 2)
    assert 0 < result["num_trainable"] < result["num_parameters"] and result["val_loss"] > 0


def test_the_tuned_model_and_its_base_answer(root, run_id, say):
    ask = ("generate", run_id, "--prompt", "one two", "--temperature", "0", "--max-tokens", "12")
    tuned = say(*ask, "--runs-dir", root / "runs")
    assert tuned.status == 0 and tuned.out.startswith("My name is"), tuned.err
    base = say(*ask, "--base", "--runs-dir", root / "runs", "--json").json()
    assert base["prompt"] == "one two" and not base["text"].startswith("My name is")
    earlier = say("generate", "tiny_r4_n500/checkpoint-24", *ask[2:], "--runs-dir", root / "runs")
    assert earlier.out == tuned.out
    wrong = say("generate", "nobody/checkpoint-24", *ask[2:], "--runs-dir", root / "runs")
    assert wrong.status == 2 and wrong.err.count("\n") == 1 and "There is no adapter" in wrong.err


def test_exports_have_the_form_that_was_asked_for(root, run_id, say, tmp_path):
    there = ("--runs-dir", root / "runs")
    assert say("export", run_id, "--to", tmp_path / "merged", *there).status == 0
    assert AutoModelForCausalLM.from_pretrained(str(tmp_path / "merged")).config.num_hidden_layers == 2
    assert say("export", run_id, "--form", "adapter", "--to", tmp_path / "adapter", *there).status == 0
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    again = say("export", run_id, "--to", tmp_path / "merged", *there)
    assert again.status == 1 and "exists and is not empty" in again.err
    refused = say("push", run_id, "--repo", "ann/x", *there)
    assert refused.status == 2 and "set HF_TOKEN" in refused.err


def test_what_repeats_the_run_is_understood(root, run_id, say, tmp_path):
    file = tmp_path / "again.yaml"
    file.write_text(say("repeat", run_id, "--form", "yaml", "--runs-dir", root / "runs").out, encoding="utf-8")
    args = ("finetune", "--preset", "none", "--config", file, "--max-steps", "1", "--runs-dir", tmp_path, "--json")
    assert say(*args).json()["state"] == "completed"
    assert say("repeat", run_id, "--runs-dir", root / "runs").out.startswith("python -m llm_testing finetune")


def test_an_adapter_goes_on_with_new_rows_and_a_run_is_extended(root, run_id, say, tmp_path):
    rows = write_rows(tmp_path / "more.jsonl", [{"prompt": f"six {i}", "completion": "hello there"} for i in range(8)])
    there = ("--runs-dir", root / "runs", "--json")
    flags = ("--resume-from", run_id, "--dataset", rows, "--max-steps", "60", "--lr-schedule", "constant")
    fork = say("finetune", *flags, *there)
    assert fork.status == 0, fork.err
    assert fork.json()["step"] == 60 and fork.json()["run_id"] != run_id
    asked = ("generate", fork.json()["run_id"], "--prompt", "six 3", "--temperature", "0", "--max-tokens", "8")
    assert say(*asked, "--runs-dir", root / "runs").out.startswith("hello there")
    longer = say("resume", fork.json()["run_id"], "--max-steps", "62", *there)
    assert (longer.status, longer.json()["step"]) == (0, 62), longer.err


def test_the_models_are_listed(say):
    rows = say("models", "list", "--json").json()["models"]
    assert len(rows) >= 12 and rows[0]["recommended_lora_r"] > 0
    assert "unsloth/Qwen2.5-7B-Instruct" in say("models", "list").out
