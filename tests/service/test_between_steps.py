"""Loading an open model changes torch's default number format and its random state: never beside a training step."""

import threading

import pytest

from llm_testing.errors import DataError
from llm_testing.model import base_model
from llm_testing.model.generate import Sampling
from llm_testing.service.lab import Lab
from tests.api.tuning_parts import body_at
from tests.service.parts import TINY, until

pytestmark = pytest.mark.proof
LONG = {**TINY, "max_steps": 1_000_000, "intermediate_val_freq_steps": 500_000, "sample_every": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def lab(root):
    """A lab with a tuned run, and a run that trains beside everything that is asked."""
    lab = Lab(root / "runs", root / "cache")
    lab.finetuning.start(body_at(root, sample_prompts=[], max_steps=2))
    until(lambda: lab.live() is None)
    assert lab.last().state == "completed", lab.last().error
    lab.start(LONG)
    until(lambda: lab.live().step > 0)
    yield lab
    assert lab.shutdown(60), "a run outlived its test"


@pytest.fixture(scope="module")
def tuned(lab):
    return next(row.run_id for row in lab.rows() if row.kind == "finetune")


@pytest.fixture
def threads(lab, monkeypatch):
    """By name, the thread of each load, and the trainer's."""
    found = {"trainer": {lab._launcher.active().control.submit(lambda live: threading.get_ident()).result(60)}}

    def watch(name):
        original = getattr(base_model, name)

        def watched(*args, **kwargs):
            found.setdefault(name, set()).add(threading.get_ident())
            return original(*args, **kwargs)

        monkeypatch.setattr(base_model, name, watched)

    for name in ("load_base", "load_tuned", "gguf_to_folder"):
        watch(name)
    return found


def draft(root, **more):
    return body_at(root, sample_prompts=[], **more)


def test_a_tuned_model_is_opened_in_the_playground_between_two_steps(lab, tuned, threads):
    assert lab.playground.complete(tuned, "one", Sampling(max_tokens=2)).tokens_generated <= 2
    assert threads["load_tuned"] == threads["trainer"]


def test_a_tuned_run_becomes_a_base_between_two_steps(lab, tuned, threads, root):
    assert lab.finetuning.view_examples(draft(root, model_name=tuned)).num_tokens
    assert threads["load_tuned"] == threads["load_base"] == threads["trainer"]


def test_a_run_that_waits_in_the_queue_loads_its_base_between_two_steps(lab, tuned, threads, root):
    for folder in (root / "cache" / "models" / "runs").glob("*"):
        folder.rename(root / folder.name)
    waiting = lab.finetuning.start(draft(root, model_name=tuned), queue=True).run_id
    assert lab.queued() == [waiting]
    lab.stop("discard", waiting)
    assert threads["load_tuned"] == threads["trainer"]


def test_a_gguf_file_is_read_between_two_steps(lab, threads, root):
    (root / "model.gguf").write_bytes(b"no model at all, in bytes that are no GGUF")
    with pytest.raises(DataError):
        lab.finetuning.view_examples(draft(root, model_name=str(root / "model.gguf")))
    assert threads["gguf_to_folder"] == threads["trainer"]


def test_an_export_loads_between_two_steps(lab, tuned, threads, root):
    for form in ("adapter", "merged"):
        lab.finetuning.exports.write(tuned, form, root / f"export-{form}")
    assert threads["load_tuned"] == threads["trainer"]
