"""The list of open models: complete, and its figures those of the models."""

import pytest

from llm_testing.config.models import KnownModel, find_model, known_config, known_models

EVERY = pytest.mark.parametrize("model", known_models(), ids=lambda model: model.name)
PUBLISHED = {
    # Total of the tensors, as the model's page on the Hub counts them.
    "Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen2.5-7B-Instruct": 7_615_616_512,
    "Llama-3.2-1B-Instruct": 1_235_814_400,
    "gpt2": 124_439_808,
    "SmolLM2-135M-Instruct": 134_515_008,
}


def test_there_are_models_of_every_size_and_family():
    models = known_models()
    assert len(models) >= 12
    assert {m.family for m in models} == {"llama", "gpt2", "qwen2", "qwen3", "mistral", "gemma3_text", "phi3"}
    assert min(m.params_billion for m in models) < 0.2 and max(m.params_billion for m in models) > 14
    assert len({m.name for m in models}) == len(models)
    names = [name.lower() for m in models for name in (m.hf_id, *m.same_config)]
    assert len(set(names)) == len(names)


@EVERY
def test_a_model_says_what_it_is_and_where_that_was_read(model: KnownModel):
    assert model.config["model_type"] == model.family
    assert model.source and model.tags and set(model.unchecked) <= set(model.config)
    assert model.recommended["lora_alpha"] == model.recommended_lora_r <= 64
    assert 256 <= model.recommended_max_seq <= 8192


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_counted_as_published(name: str):
    assert find_model(name).num_parameters == PUBLISHED[name]


def test_a_model_is_found_by_name_hub_id_and_mirror():
    qwen = find_model("unsloth/Qwen2.5-7B-Instruct")
    assert qwen is find_model("qwen2.5-7b-instruct")
    assert known_config("Qwen/Qwen2.5-7B-Instruct") is qwen.config
    assert find_model("nobody/nothing") is None and known_config("nobody/nothing") is None
