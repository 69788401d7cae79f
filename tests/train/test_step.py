import pytest
import torch
from torch.nn import functional as F

from llm_testing.errors import TrainingDiverged
from llm_testing.train.step import MAX_SKIPS_IN_A_ROW
from tests.train.parts import config, training_step

X = torch.randint(0, 19, (6, 8), generator=torch.Generator().manual_seed(1))
Y = torch.randint(0, 19, (6, 8), generator=torch.Generator().manual_seed(2))


def gradients(step, sizes, number=0):
    step.begin()
    parts = zip(X.split(sizes), Y.split(sizes), strict=True)
    for micro, (x, y) in enumerate(parts):
        step.micro_step(x, y, Y.numel(), number, micro)
    return [p.grad.clone() for p in step.model.parameters()]


def one_step(step, sizes, lr=1e-2, number=0):
    gradients(step, sizes, number)
    step.update(lr)


@pytest.mark.parametrize("sizes", [[3, 3], [2, 2, 2], [4, 2], [1, 5]])
def test_accumulation_equals_one_large_batch_also_with_unequal_micro_batches(sizes):
    large, small = training_step(config()), training_step(config())
    whole, summed = gradients(large, [6]), gradients(small, sizes)
    assert torch.allclose(large.loss, small.loss, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, summed, strict=True))


def test_a_step_equals_the_plain_recipe():
    step, plain = training_step(config()), training_step(config()).model
    reference = torch.optim.AdamW(
        [
            {"params": [p for p in plain.parameters() if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in plain.parameters() if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=1e-2,
    )
    for number in range(3):
        one_step(step, [6], number=number)
        reference.zero_grad()
        loss = F.cross_entropy(plain(X).flatten(0, 1), Y.flatten())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        reference.step()
        assert torch.allclose(step.loss, loss, atol=1e-5)
        assert torch.allclose(step.grad_norm, norm, atol=1e-4)


def test_dropout_is_a_function_of_seed_step_and_micro_step():
    def loss(step_number, micro, disturb=0):
        step = training_step(config(dropout=0.3))
        torch.manual_seed(disturb)
        step.begin()
        step.micro_step(X, Y, Y.numel(), step_number, micro)
        return step.loss

    assert torch.equal(loss(4, 1), loss(4, 1, disturb=99))
    assert not torch.equal(loss(4, 1), loss(4, 2))
    assert not torch.equal(loss(4, 1), loss(5, 1))


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gradient_that_is_not_finite_is_caught_before_the_update(optimizer, precision):
    step = training_step(config(optimizer=optimizer, precision=precision))
    one_step(step, [6])
    assert step.check_finite(1) == 0
    before = [p.clone() for p in step.model.parameters()]
    step.begin()
    step.micro_step(X, Y, Y.numel(), 1, 0)
    step.model.norm.weight.grad[0] = float("nan")
    step.update(1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, step.model.parameters(), strict=True))
    with pytest.raises(TrainingDiverged, match="not a finite number at step 2.*smaller learning_rate"):
        step.check_finite(2)


def overflow(step, number):
    step.begin()
    step.micro_step(X, Y, Y.numel(), number, 0)
    step.model.norm.weight.grad[0] = float("inf")
    step.update(1e-2)


def test_fp16_overflow_skips_the_update_halves_the_scale_and_is_counted():
    step = training_step(config(precision="fp16"))
    one_step(step, [6])
    before, scale = [p.clone() for p in step.model.parameters()], step.scaler.get_scale()
    overflow(step, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, step.model.parameters(), strict=True))
    assert step.scaler.get_scale() == scale / 2
    assert step.check_finite(2) == 1
    one_step(step, [6], number=2)
    assert not torch.equal(before[0], step.model.token_embedding.weight)
    assert step.state()["skipped_in_a_row"] == 0


def test_twenty_overflows_in_a_row_are_an_error():
    step = training_step(config(precision="fp16"))
    for number in range(MAX_SKIPS_IN_A_ROW - 1):
        overflow(step, number)
    assert step.check_finite(19) == 19
    overflow(step, 19)
    with pytest.raises(TrainingDiverged, match="20 updates in a row overflowed fp16"):
        step.check_finite(20)


def test_fp32_runs_without_autocast(monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: pytest.fail("fp32 must not enter autocast"))
    one_step(training_step(config()), [6])
