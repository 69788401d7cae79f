"""Runs beside one another: what differs, seeds as a band, bits a byte, arithmetic, scatter."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import shape_of
from llm_testing.errors import ConfigError
from llm_testing.jobs.owner import this_process
from llm_testing.model.gpt import GPT
from llm_testing.service.flops import flops_of
from tests.service.parts import made


def test_only_what_differs_is_compared_and_bits_a_byte_where_tokens_differ(lab):
    one, two = made(lab, 1), made(lab, 2, config={"learning_rate": 3e-3})
    found = lab.history.compare([one, two])
    assert found["differing"] == {"learning_rate": {one: 1e-3, two: 3e-3}, "seed": {one: 1, two: 2}}
    assert found["compare_by"] == "val_loss" and found["why"] is None and found["groups"] == []
    other = made(lab, 3, config={"tokenizer": "bpe"})
    found = lab.history.compare([one, other])
    assert found["compare_by"] == "val_bits_per_byte" and "different tokens" in found["why"]
    tuned = made(lab, 4, kind="finetune")
    assert lab.history.compare([one, tuned])["differing"]["model_name"] == {one: None, tuned: "org/model"}
    with pytest.raises(ConfigError, match="x is one of"):
        lab.history.compare([one], "hours")
    with pytest.raises(ConfigError, match="1 to 20 runs"):
        lab.history.compare([])


def test_a_run_that_goes_on_shows_its_newest_validation(lab):
    """Its record knows none before it ends."""
    run_id = made(lab, 1, state="running", owner=this_process())
    reached = lab.history.compare([run_id])["results"][run_id]
    assert (reached["state"], reached["val_loss"], reached["val_bits_per_byte"]) == ("running", 3.0, 1.5)
    assert (reached["best_val_loss"], reached["best_val_bits_per_byte"]) == (3.0, 1.5)


def test_seeds_of_one_configuration_become_a_mean_and_a_band_that_holds_every_point(lab):
    runs = [made(lab, number, steps=1000) for number in (1, 2, 3)]
    (group,) = lab.history.compare(runs)["groups"]
    assert group["run_ids"] == runs and group["seeds"] == [1, 2, 3]
    band = group["band"]
    mean, low, high = (np.array(band[name]) for name in ("train_loss", "train_loss_low", "train_loss_high"))
    assert (low <= mean).all() and (mean <= high).all() and len(mean) == len(band["x"]) == 200
    for run_id in runs:
        curve = lab.history.points(run_id, most=10**6)["columns"]
        at = np.clip(np.searchsorted(np.linspace(0, 999, 201), curve["step"], side="right") - 1, 0, 199)
        assert (np.array(curve["train_loss"]) >= low[at] - 1e-5).all()
        assert (np.array(curve["train_loss"]) <= high[at] + 1e-5).all()
    assert lab.history.compare(runs, "flops")["groups"][0]["band"] is None  # their data is not known


def test_flops_are_those_that_torch_counts_in_the_same_model():
    config = {"config_name": "custom", "n_layer": 2, "n_head": 2, "n_embd": 32, "context_length": 16,
              "attention_impl": "manual", "dropout": 0.0}  # fmt: skip
    model = GPT(shape_of(PretrainConfig.build(config), 50), attention_impl="manual")
    tokens = torch.zeros(3, 16, dtype=torch.long)
    with FlopCounterMode(display=False) as counted:
        model(tokens).sum().backward()
    ours = flops_of({"kind": "pretrain", "config": config, "data": {"vocab_size": 50}})
    assert counted.get_total_flops() == pytest.approx(ours.per_token * tokens.numel(), rel=0.02)


def test_any_option_against_any_result(lab):
    for number, rate in ((1, 1e-3), (2, 1e-2)):
        made(lab, number, config={"learning_rate": rate})
    found = lab.history.scatter("learning_rate", "train_loss")
    assert sorted(point["x"] for point in found["points"]) == [1e-3, 1e-2] and "learning_rate" in found["options"]
    for option, result in (("nothing", "val_loss"), ("seed", "__dict__")):
        with pytest.raises(ConfigError):
            lab.history.scatter(option, result)
