import pytest
import torch

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.train.optim import build_optimizer, parameter_groups
from llm_testing.train.schedule import lr_at
from tests.process_wide import unchanged
from tests.train.parts import config, training_step


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    options = config(learning_rate=1.0, warmup_steps=10, min_lr_ratio=0.1)
    rates = [lr_at(step, 110, options) for step in range(1, 111)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[59] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_other_schedules():
    linear = config(learning_rate=1.0, warmup_steps=0, lr_schedule="linear", min_lr_ratio=0.0)
    assert [lr_at(s, 4, linear) for s in range(1, 5)] == pytest.approx([0.75, 0.5, 0.25, 0.0])
    assert lr_at(3, 4, config(learning_rate=1.0, warmup_steps=0, lr_schedule="constant")) == 1.0


def test_fine_tuning_warms_up_over_a_share_of_its_updates_rounded_up():
    options = FinetuneConfig.build({"learning_rate": 1.0, "warmup_ratio": 0.25, "lr_schedule": "linear"})
    rates = [lr_at(step, 10, options) for step in range(1, 11)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, *(6 / 7 - i / 7 for i in range(7))])


def test_a_warm_up_longer_than_the_run_never_reaches_the_peak():
    assert lr_at(8, 8, config(learning_rate=1.0, warmup_steps=16)) == pytest.approx(0.5)


def test_only_matrices_decay():
    model = training_step(config()).model
    decayed, free = parameter_groups(model, 0.1)
    assert {p.dim() for p in decayed["params"]} == {2} and {p.dim() for p in free["params"]} == {1}
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit", "paged_adamw_8bit"])
def test_optimizers_take_their_settings(name):
    model = training_step(config()).model
    optimizer = build_optimizer(model, config(optimizer=name, beta1=0.8, beta2=0.95, weight_decay=0.3))
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.95)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    # torch's own runs as one kernel, here and on CUDA.
    assert optimizer.param_groups[0].get("fused", False) is (name == "adamw")


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit", "paged_adamw_8bit"])
def test_a_step_warns_of_nothing_and_sets_nothing_for_the_whole_process(optimizer):
    training = training_step(config(optimizer=optimizer))
    x, y = torch.zeros(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    with unchanged():
        training.begin()
        training.micro_step(x, y, y.numel(), 0, 0)
        training.update(1e-3)
