import pytest
from transformers import AutoConfig

from llm_testing.config.open_models import KNOWN_MODELS, known_config


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.hub_ids[0])
def test_a_known_models_config_is_one_that_transformers_reads(model):
    config = AutoConfig.for_model(**model.config)
    assert config.hidden_size % config.num_attention_heads == 0 or model.config["head_dim"]
    if model.source == "transformers":
        defaults = type(config)()
        assert {name: getattr(defaults, name) for name in model.config} == model.config


def test_names_are_found_whatever_their_case_and_none_comes_twice():
    assert known_config("unsloth/qwen2.5-7b-instruct")["hidden_size"] == 3584
    assert known_config("nobody/nothing") is None
    names = [name.lower() for model in KNOWN_MODELS for name in model.hub_ids]
    assert len(set(names)) == len(names)
