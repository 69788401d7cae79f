"""Whoever only looks changes nothing of a run that trains: its losses are those of a run that nobody looks at."""

import pytest

from llm_testing.service.lab import Lab
from tests.api.looks import Onlookers, looks_at
from tests.process_wide import unchanged
from tests.service.parts import TINY, run, until

SAMPLE, ALL = 3, 1000
STEPS = 100
"""That have to be trained beside the looks, at least."""
LONG = {**TINY, "max_steps": 10_000_000, "learning_rate": 1e-3, "log_every": 10, "sample_every": 0,
        "intermediate_val_freq_steps": 1_000_000, "attention_impl": "sdpa"}  # fmt: skip
DROPOUT = {"auto": 0.1, "math": 0.1}
"""Kernels that draw masks, where the random numbers count too."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    root = tmp_path_factory.mktemp("looks")
    lab = Lab(root / "runs", root / "cache")
    yield lab
    assert lab.shutdown(60), "a run outlived its test"


@pytest.fixture(scope="module")
def ended(lab):
    """A run that has ended, and its checkpoint."""
    run_id = run(lab)
    return run_id, lab.details(run_id)["checkpoints"][-1]["id"]


def losses(lab, run_id):
    return {row["step"]: (row["train_loss"], row["grad_norm"]) for row in lab.points(run_id).rows if row["train_loss"]}


def step_of(lab):
    live = lab.live()
    assert live is not None and live.error is None, lab.last()
    return live.step


def begun(lab, **values):
    """A run that trains."""
    run_id = lab.start({**LONG, **values}).run_id
    until(lambda: lab.live() is None or lab.live().step > 1)
    step_of(lab)
    return run_id


def stopped(lab):
    lab.stop("save")
    until(lambda: lab.live() is None)
    assert lab.last().state == "stopped", lab.last().error


def checked(answers, times):
    """Each was answered each time; nobody met an error of the program."""
    assert sum(answers.values()) == times * len({key[:2] for key in answers})
    assert [key for key in answers if key[2] >= 500] == []
    assert len({path for _, path, status in answers if status == 200}) > 40


def test_a_look_sets_nothing_that_belongs_to_the_process(lab, ended):
    run_id, checkpoint = ended
    looks = looks_at(run_id, run_id, checkpoint)
    with unchanged():
        checked(Onlookers(lab).look(looks, 1, at_once=1), 1)


@pytest.mark.proof
@pytest.mark.parametrize("times", [SAMPLE, pytest.param(ALL, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_losses_are_those_of_a_run_that_nobody_looks_at(lab, ended, times, record_property):
    for kernel in ("auto", *lab.machine().sdpa_kernels):
        # Whatever a step draws or computes otherwise stays in the weights, so a row now and then tells of all of them.
        values = {"sdpa_kernel": kernel, "dropout": DROPOUT.get(kernel, 0.0), "log_every": 10 if times < ALL else 200}
        run_id = begun(lab, **values)
        first = step_of(lab)
        answers = Onlookers(lab).look(looks_at(run_id, *ended), times)
        steps = step_of(lab) - first
        checked(answers, times)
        until(lambda first=first: step_of(lab) >= first + STEPS)
        stopped(lab)
        beside = losses(lab, run_id)
        beside.pop(max(beside))  # where it was stopped

        run_id = begun(lab, **values)
        last = max(beside)
        until(lambda last=last: step_of(lab) > last, 1800)
        stopped(lab)
        alone = losses(lab, run_id)
        record_property(kernel, f"{sum(answers.values())} looks beside {steps} steps, {len(beside)} losses compared")
        assert {step: alone[step] for step in beside} == beside, kernel
