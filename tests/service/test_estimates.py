"""Estimates as page, REST and command line get them, and what Start does with one."""

import json
from dataclasses import replace

import pytest
import torch

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError, NotEnoughMemory
from llm_testing.estimate.budget import GIB, card_named, card_of, main_memory
from llm_testing.estimate.worker import TraceFailed
from llm_testing.jobs.machine import MemoryFacts
from llm_testing.model.device import find_device
from llm_testing.service import estimates as module
from llm_testing.service.checks import refuse_what_exceeds
from llm_testing.service.estimates import NoEstimate, accuracy
from tests.service.parts import TINY, run

CONFIG = PretrainConfig.build(TINY)
TUNING = {"max_seq_length": 64, "batch_size": 1, "gradient_accumulation": 1}


@pytest.fixture
def folder(tmp_path):
    """A model's folder, as transformers writes it."""
    values = {
        **{"model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128},
        **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32},
    }
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(values))
    return tmp_path / "model"


def test_a_run_keeps_its_estimate_beside_what_was_measured(lab):
    details = lab.details(run(lab))
    told = details["estimate"]
    assert details["estimated_bytes"] == told["allocated_bytes"] == sum(told["terms"].values())
    assert told["verdict"] == "fits" and told["device"] == "cpu"
    assert told["num_parameters"] == details["parameters"]["total"]
    assert lab.result(details["run_id"])["estimated_bytes"] == told["allocated_bytes"]


def test_a_run_on_the_cpu_measures_one_of_its_steps(lab):
    run_id = run(lab, n_embd=64, context_length=32, batch_size=4, max_steps=4)
    details = lab.details(run_id)
    measured = details["measured"]["allocated_bytes"]
    assert details["estimated_bytes"] == pytest.approx(measured, rel=0.01)
    told = [row for row in lab.events(run_id).rows if row.get("event") == "measured"]
    assert [(row["step"], row["allocated_bytes"]) for row in told] == [(1, measured)]
    assert lab.estimates.accuracy()["points"][0]["run_id"] == run_id


def test_a_run_whose_step_exceeds_the_memory_is_refused_though_its_states_fit(lab, monkeypatch):
    need = lab.details(run(lab, batch_size=64))["estimated_bytes"]
    there = int(need / 0.8)
    monkeypatch.setattr(module, "usable_memory_bytes", lambda: MemoryFacts(there, int(need / 0.95), "test"))
    run_id = run(lab, batch_size=64)
    details = lab.details(run_id)
    assert details["state"] == "failed"
    assert "takes 90% of that at most" in details["error"] and "batch_size 32" in details["error"]
    monkeypatch.setattr(module, "usable_memory_bytes", lambda: MemoryFacts(there, int(need / 0.85), "test"))
    assert lab.details(run(lab, batch_size=64))["state"] == "completed"


def test_a_run_goes_on_without_an_estimate_and_says_so(lab, monkeypatch):
    def fails(*args, **kwargs):
        raise TraceFailed("The process that traces ended without an answer.")

    monkeypatch.setattr(type(lab.estimates._estimator), "estimate", fails)
    details = lab.details(run(lab))
    assert details["state"] == "completed" and details["estimated_bytes"] is None
    warned = [row["message"] for row in lab.events(details["run_id"]).rows if row.get("event") == "warning"]
    assert any("could not be estimated" in message for message in warned)


def test_on_a_card_force_starts_what_exceeds_and_on_the_cpu_nothing_does(lab):
    found = lab.estimates.estimate(CONFIG, card_of(16))
    small = replace(found, verdict="exceeds", budget=card_of(1))
    with pytest.raises(NotEnoughMemory, match="give force"):
        refuse_what_exceeds(small, CONFIG, force=False)
    refuse_what_exceeds(small, CONFIG, force=True)
    refuse_what_exceeds(found, CONFIG, force=False)
    with pytest.raises(NotEnoughMemory, match="takes 90% of that at most"):
        refuse_what_exceeds(replace(found, verdict="exceeds", budget=main_memory(1)), CONFIG, force=True)


def test_the_card_asked_about_is_the_named_one_else_the_size_else_here_else_16(lab):
    budget = lab.estimates.budget
    assert budget(card="T4") == card_named("T4")
    assert budget(gpu_memory_gb=24) == card_of(24)
    assert budget(device="cpu").device == "cpu"
    if find_device("auto").type == "cpu":
        assert budget() == card_of(16)
    with pytest.raises(ConfigError, match="There is no card 'RTX 1'"):
        budget(card="RTX 1")


def test_what_this_process_holds_of_a_card_is_free_for_the_next_run(lab, monkeypatch):
    monkeypatch.setattr(module, "find_device", lambda name: torch.device("cuda:0"))
    monkeypatch.setattr(module, "card_memory", lambda device: ("A card", 5 << 30, True, (8, 9)))
    monkeypatch.setattr(module, "held_memory", lambda device: 3 << 30)
    assert lab.estimates.budget().free_bytes == 8 << 30
    # A run that is about to begin holds its model already; it is not counted twice.
    assert lab.estimates.where_it_runs("cuda:0", held_bytes=3 << 30).free_bytes == 8 << 30


def test_curves_rise_with_batch_and_context(lab):
    curves = lab.estimates.curves(CONFIG, card_of(16))
    assert set(curves) == {"batch_size", "context_length"}
    for points in curves.values():
        sizes = [point["bytes"] for point in points]
        assert len(sizes) > 4 and sizes == sorted(sizes) and sizes[0] < sizes[-1]
        assert all(sum(point["terms"].values()) == point["bytes"] for point in points)


def test_a_folder_of_a_model_is_estimated_from_its_config(lab, folder):
    config = FinetuneConfig.build({"model_name": str(folder), **TUNING})
    found = lab.estimates.estimate(config, card_of(16))
    assert found.verdict == "fits" and found.num_trainable < found.num_parameters
    # Its context is shorter than the examples may be.
    longer = lab.estimates.estimate(FinetuneConfig.build({**config.model_dump(), "max_seq_length": 128}), card_of(16))
    assert longer.allocated_bytes == found.allocated_bytes


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "There is no"), ("{", "cannot be read"), ("[1]", "holds a JSON list"), ('{"a": 1}', "cannot be read")],
)
def test_a_folder_without_a_usable_config_is_refused_in_words(lab, tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=message) as refused:
        lab.estimates.estimate(FinetuneConfig.build({"model_name": str(tmp_path), **TUNING}), card_of(16))
    assert refused.value.problems[0].field == "model_name"


def test_a_model_that_is_not_known_names_those_that_are_where_the_hub_is_out_of_reach(lab, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="Known without the Hub: .*unsloth/Qwen2.5-7B-Instruct"):
        lab.estimates.estimate(FinetuneConfig.build({"model_name": "nobody/nothing", **TUNING}), card_of(16))


def test_what_cannot_be_traced_is_an_error_in_words(lab, folder):
    values = json.loads((folder / "config.json").read_text())
    values |= {"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 1}
    (folder / "config.json").write_text(json.dumps(values))
    config = FinetuneConfig.build({"model_name": str(folder), **TUNING, "adapter": "full"})
    with pytest.raises(NoEstimate, match="could not be estimated"):
        lab.estimates.estimate(config, card_of(16))


def test_the_largest_of_what_cannot_be_searched_is_refused(lab):
    with pytest.raises(ConfigError, match="ask for context_length, config_name, batch_size"):
        lab.estimates.largest(CONFIG, "dropout", card_of(16))


def test_a_probe_runs_real_steps_and_joins_the_accuracy(lab):
    found = lab.estimates.probe(PretrainConfig.build({**TINY, "n_embd": 64, "context_length": 64, "batch_size": 8}))
    told, real = found["estimate"]["allocated_bytes"], found["measured"]["allocated_bytes"]
    assert told == pytest.approx(real, rel=0.01)
    seen = lab.estimates.accuracy()
    assert len(seen["points"]) == 1 and next(iter(seen["bands"].values()))["count"] == 1
    assert lab.rows() == []


def test_accuracy_is_the_range_of_errors_on_each_device():
    def record(run_id, estimated, measured, device="T4"):
        return {
            "run_id": run_id,
            "environment": {"device_name": device},
            "estimate": {"allocated_bytes": estimated},
            "measured": {"allocated_bytes": measured},
        }

    found = accuracy([record("a", 98, 100), record("b", 101, 100), record("c", GIB, None), {"run_id": "d"}])
    assert [point["run_id"] for point in found["points"]] == ["a", "b"]
    assert found["bands"] == {"T4": {"count": 2, "least": pytest.approx(-0.02), "most": pytest.approx(0.01)}}
