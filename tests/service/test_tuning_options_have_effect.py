"""No option of fine-tuning without effect: for each a changed value and what it changes, as for pretraining."""

import random
from unittest.mock import patch

import pytest
import torch
from torch.nn import functional as F
from transformers.models.llama import modeling_llama

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.errors import ConfigError
from llm_testing.model.open_model import OpenModel
from llm_testing.service.lab import Lab
from llm_testing.train.session import check_device
from tests.data.tiny_model import tiny_model, write_rows
from tests.service.test_finetuning import TUNING, WORDS, tune
from tests.service.test_options_have_effect import (
    checkpoints,
    learning_rates,
    losses,
    name,
    parameters,
    sampled,
    steps,
    validated,
)

pytestmark = pytest.mark.proof


def trainable(lab, run_id):
    return lab.result(run_id)["num_trainable"]


def data(lab, run_id):
    return {k: v for k, v in lab.details(run_id)["data"].items() if k.startswith("num_") or k.endswith("_sequences")}


def outcome(lab, run_id):
    return (lab.runs_dir / run_id / "adapter").is_dir()


def forgotten(lab, run_id):
    return "general_text" in lab.details(run_id)["summary"]


WHOLE = {"max_steps": None, "num_epochs": 1}
EFFECTS = {
    # option: (changed value, what it changes, what both runs are based on)
    "name": ("another", name, {}),
    "model_name": ("LARGER", parameters, {}),
    "adapter": ("full", trainable, {"learning_rate": 1e-3}),
    "lora_r": (8, trainable, {}),
    "lora_alpha": (16, losses, {}),
    "lora_dropout": (0.5, losses, {}),
    "use_rslora": (True, losses, {}),
    "use_dora": (True, trainable, {}),
    "target_modules": (("q_proj",), trainable, {}),
    "dataset": ("OTHERS", losses, {}),
    "data_format": ("text", losses, {}),
    "columns": (("completion=text",), losses, {}),
    "n_examples": (20, data, {}),
    "val_share": (0.3, data, {}),
    "chat_template": ("plain", losses, {}),
    "system_prompt": ("one two", losses, {}),
    "answers_only": (False, losses, {}),
    "max_seq_length": (20, losses, {}),
    "packing": (True, steps, WHOLE),
    "num_epochs": (2, steps, WHOLE),
    "max_steps": (7, steps, {}),
    "batch_size": (2, losses, {}),
    "gradient_accumulation": (1, losses, {}),
    "learning_rate": (2e-2, losses, {}),
    "warmup_ratio": (0.5, learning_rates, {}),
    "lr_schedule": ("constant", learning_rates, {}),
    "min_lr_ratio": (0.5, learning_rates, {}),
    # Smaller tensors keep states in fp32.
    "optim": ("adamw_8bit", losses, {"lora_r": 128}),
    "weight_decay": (1.0, losses, {"learning_rate": 0.1}),
    "beta1": (0.5, losses, {}),
    "beta2": (0.5, losses, {}),
    "grad_clip": (0.01, losses, {"beta2": 0.5}),
    "precision": ("bf16", losses, {}),
    "base_dtype": ("bf16", losses, {}),
    "seed": (2, losses, {}),
    "logging_steps": (3, steps, {}),
    "eval_steps": (2, validated, {}),
    "eval_batches": (1, validated, {"batch_size": 1, "val_share": 0.2}),
    "patience": (1, steps, {"learning_rate": 1.0, "grad_clip": 0.0, "eval_steps": 1, "max_steps": 30}),
    "sample_every": (2, sampled, {}),
    "sample_prompts": (("one", "two"), sampled, {}),
    "sample_tokens": (9, sampled, {}),
    "measure_forgetting": (True, forgotten, {"max_steps": 1}),
    "save_adapter": (False, outcome, {}),
    "save_checkpoints": (True, checkpoints, {"max_steps": 8, "eval_steps": 8}),
    "save_every": (2, checkpoints, {"eval_steps": 6}),
    "keep_checkpoints": (1, checkpoints, {"eval_steps": 6, "save_every": 2}),
}
# A Hub dataset's in tests/hub/test_datasets.py and tests/service/test_fetching.py, forks in test_finetuning.py.
ELSEWHERE = {
    "dataset_config", "dataset_split", "resume_from", "fast_mode", "use_gradient_checkpointing", "threads", "device",
    "tf32",
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two models and two datasets whose rows have fields of several formats."""
    folder, draw = tmp_path_factory.mktemp("places"), random.Random(1)

    def words(most):
        return " ".join(draw.choices(WORDS, k=draw.randint(1, most)))

    rows = [
        [{"prompt": words(9), "completion": f"My name is {words(1)}", "text": words(9)} for _ in range(40)]
        for _ in range(2)
    ]
    return {
        "BASE": str(tiny_model(folder / "base")),
        "LARGER": str(tiny_model(folder / "larger", layers=3)),
        "ROWS": str(write_rows(folder / "rows.jsonl", rows[0])),
        "OTHERS": str(write_rows(folder / "others.jsonl", rows[1])),
    }


def counted(owner, name):
    """A function that counts its calls and does the same as ever."""
    return patch.object(owner, name, autospec=True, side_effect=getattr(owner, name))


def test_every_option_has_a_row():
    assert set(EFFECTS) | ELSEWHERE == set(options_of(FinetuneConfig))


@pytest.fixture(scope="module")
def tuned(places, tmp_path_factory):
    """Makes a run of given values, or gives the one that was made of the same."""
    root = tmp_path_factory.mktemp("lab")
    lab, made = Lab(root / "runs", root / "cache"), {}

    def make(values):
        values = {**TUNING, "model_name": "BASE", "dataset": "ROWS", **values}
        if repr(values) not in made:
            run_id = tune(lab, {k: places.get(v, v) if isinstance(v, str) else v for k, v in values.items()})
            assert lab.details(run_id)["state"] == "completed", lab.details(run_id)["error"]
            made[repr(values)] = run_id
        return lab, made[repr(values)]

    return make


@pytest.mark.parametrize("option", EFFECTS)
def test_the_option_changes_something(tuned, option):
    changed, look, base = EFFECTS[option]
    before, after = (look(*tuned(base | more)) for more in ({}, {option: changed}))
    assert before != after


def test_threads_are_what_the_run_computes_on(lab, places):
    if lab.machine().cores < 2:
        pytest.skip("needs two cores")
    for number in (2, 1):
        tune(lab, {**TUNING, "model_name": places["BASE"], "dataset": places["ROWS"], "max_steps": 1}, threads=number)
        assert torch.get_num_threads() == number


def test_fast_mode_is_packing_and_fused_attention_and_no_logits_of_what_is_not_learned(lab, places):
    values = {**TUNING, "model_name": places["BASE"], "dataset": places["ROWS"], "max_steps": 2, "sample_every": 0}
    found = {}
    for fast in (False, True):
        with (
            counted(F, "scaled_dot_product_attention") as fused,
            counted(modeling_llama, "eager_attention_forward") as eager,
            counted(OpenModel, "forward") as whole_logits,
        ):
            run_id = tune(lab, values, fast_mode=fast)
        packed = lab.details(run_id)["data"]["train_sequences"] < 36
        found[fast] = packed, fused.call_count > 0, eager.call_count > 0, whole_logits.call_count > 0
    assert found == {False: (False, False, True, True), True: (True, True, False, False)}


def test_checkpointing_recomputes_blocks(lab, places):
    values = {**TUNING, "model_name": places["BASE"], "dataset": places["ROWS"], "max_steps": 2, "sample_every": 0}
    original, calls = modeling_llama.LlamaMLP.forward, []

    def counted(self, x):
        calls.append(torch.is_grad_enabled() and self.training)
        return original(self, x)

    counts = {}
    with patch.object(modeling_llama.LlamaMLP, "forward", counted):
        for checkpointing in (False, True):
            calls.clear()
            tune(lab, values, use_gradient_checkpointing=checkpointing)
            counts[checkpointing] = sum(calls)
    assert counts[True] == 2 * counts[False] > 0


def test_device_and_tf32_are_taken_or_refused():
    assert str(check_device(FinetuneConfig.build({"device": "cpu"}))) == "cpu"
    if not torch.cuda.is_available():
        for values in ({"device": "cuda:0"}, {"tf32": True}):
            with pytest.raises(ConfigError):
                check_device(FinetuneConfig.build(values))
