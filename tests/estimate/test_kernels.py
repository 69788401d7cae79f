"""A forced kernel is traced as itself, on either device."""

import numpy as np
import pytest

from llm_testing.estimate.worker import TraceFailed
from tests.estimate.parts import config, job


def traced(worker, device, kernel, **options):
    values = {"attention_impl": "sdpa", "sdpa_kernel": kernel, "dropout": 0.0, **options}
    return worker.trace(job(config(**values), device, num_layers=2, batch_size=2)).num_bytes


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    ("device", "options", "chosen", "others"),
    [
        ("cuda", {"precision": "bf16"}, {"flash", "cudnn"}, {"memory_efficient", "math"}),
        ("cuda", {"precision": "fp32"}, {"memory_efficient"}, {"math"}),
        ("cpu", {"precision": "bf16"}, {"flash"}, {"math"}),
        ("cpu", {"precision": "fp32", "dropout": 0.1}, {"math"}, set()),
    ],
)
def test_forcing_the_kernel_that_torch_would_choose_costs_the_same(
    worker, device, options, chosen, others, checkpointing
):
    options = {**options, "gradient_checkpointing": checkpointing}
    auto = traced(worker, device, "auto", **options)
    assert all(np.array_equal(auto, traced(worker, device, kernel, **options)) for kernel in chosen)
    assert not any(np.array_equal(auto, traced(worker, device, kernel, **options)) for kernel in others)


@pytest.mark.parametrize(("kernel", "dropout"), [("flash", 0.1), ("cudnn", 0.0), ("memory_efficient", 0.0)])
def test_a_kernel_that_could_not_run_on_the_cpu_has_no_estimate_there(worker, kernel, dropout):
    with pytest.raises(TraceFailed, match=f"attention kernel {kernel} .* on cpu"):
        traced(worker, "cpu", kernel, dropout=dropout)
