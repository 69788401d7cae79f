"""Presets: valid on every machine, at hand without a download, and weaker than what was given."""

import pytest

from llm_testing.config.presets import GIB, PRESETS, Machine, filled, preset_values
from llm_testing.config.pretrain import CORPORA_AT_HAND, PretrainConfig
from llm_testing.errors import ConfigError

MACHINES = [
    Machine("cpu", 4 * GIB, 1, fast_bf16=False),
    Machine("cpu", 16 * GIB, 8, fast_bf16=True),
    Machine("cuda", 4 * GIB, 4, fast_bf16=False),
    Machine("cuda", 16 * GIB, 16, fast_bf16=True),
    Machine("mps", 16 * GIB, 8, fast_bf16=False),
]
CPU = MACHINES[0]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: f"{m.device}-{m.device_memory_bytes // GIB}GiB")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_valid_and_needs_no_download(preset: str, machine: Machine):
    config = PretrainConfig.build(filled(preset, {}, machine, PretrainConfig))
    assert (config.corpus, config.tokenizer) == ("python-docs", "bpe")
    assert config.corpus in CORPORA_AT_HAND


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_options_only_and_says_what_it_is(preset: str):
    assert preset_values(preset, CPU, PretrainConfig).keys() <= PretrainConfig.model_fields.keys()
    assert PRESETS[preset].title and PRESETS[preset].about.endswith(".")


def test_learning_is_the_defaults_with_the_corpus_at_hand():
    config = PretrainConfig.build(filled("learning", {}, CPU, PretrainConfig))
    assert config == PretrainConfig(corpus="python-docs", tokenizer="bpe")


def test_what_was_given_wins_and_null_is_not_given():
    values = filled("fast", {"batch_size": 3, "dropout": None}, CPU, PretrainConfig)
    assert values["batch_size"] == 3 and values["dropout"] == 0.0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", ["nano", "small", "medium", "large", "xlarge"])
def test_a_named_size_goes_with_every_preset(preset: str, size: str):
    config = PretrainConfig.build(filled(preset, {"config_name": size}, CPU, PretrainConfig))
    assert config.config_name == size and config.n_layer is None


@pytest.mark.parametrize("preset", [None, "none"])
def test_no_preset_sets_nothing(preset: str | None):
    assert preset_values(preset, CPU, PretrainConfig) == {}


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigError) as caught:
        preset_values("quick", CPU, PretrainConfig)
    assert caught.value.problems[0].field == "preset"
    assert caught.value.problems[0].message == (
        "There is no preset 'quick'. There are recommended, learning, fast, 16gb, none."
    )


def test_bf16_is_recommended_only_where_it_is_fast():
    for machine in MACHINES:
        assert preset_values("recommended", machine, PretrainConfig)["precision"] == (
            "bf16" if machine.fast_bf16 else "fp32"
        )
