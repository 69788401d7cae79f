"""The estimate comes from the code that trains: edits of model or step move it, with nothing else edited."""

import pytest
from torch.nn import functional as F

from llm_testing.estimate.trace_gpt import trace_gpt
from llm_testing.model import gpt
from llm_testing.train import step as train_step
from tests.estimate.parts import config, job, measure, peak_of

OPTIONS = config(n_layer=2)


def traced_and_real():
    return peak_of(trace_gpt(job(OPTIONS), {})), measure(OPTIONS).peak_bytes


@pytest.fixture
def before():
    return traced_and_real()


def test_an_edit_of_the_model_changes_the_estimate_as_it_changes_the_real_peak(before, monkeypatch):
    def wasteful(self, x_BTC):
        x_BTC = x_BTC + self.attention(self.norm_1(x_BTC))
        hidden = F.gelu(self.mlp_in(self.norm_2(x_BTC)), approximate="tanh")
        return x_BTC + self.mlp_out((hidden.exp() * hidden.sigmoid()).tanh())

    monkeypatch.setattr(gpt.Block, "forward", wasteful)
    traced, real = traced_and_real()
    assert traced > before[0] * 1.02
    assert traced == pytest.approx(real, rel=1e-3)


def test_an_edit_of_the_step_changes_the_estimate_as_it_changes_the_real_peak(before, monkeypatch):
    def copied(model, x_BT, y_BT, at_N=None):
        return F.cross_entropy(model(x_BT).double().flatten(0, 1), y_BT.flatten(), reduction="sum").float()

    monkeypatch.setattr(train_step, "loss_sum", copied)
    traced, real = traced_and_real()
    assert traced > before[0] * 1.02
    assert traced == pytest.approx(real, rel=1e-3)
