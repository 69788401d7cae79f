"""The form is the declared options and nothing else, and what it shows means what the option takes."""

import gradio as gr
import pytest

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.ui.fields import ONLY_WITH, control, empty_but_needed, is_on, meant, shown, slides, values_of

OPTIONS = options_of(PretrainConfig)
TUNING = options_of(FinetuneConfig)
ALL = [*OPTIONS.values(), *TUNING.values()]


@pytest.mark.parametrize("option", ALL, ids=lambda option: option.name)
def test_every_option_has_a_control_with_title_and_help_that_shows_its_default(option):
    made = control(option, shown(option, option.default))
    assert made.label.startswith(option.show.title) and made.info == option.help
    assert made.value == shown(option, option.default)
    assert meant(option, made.value) == option.default


@pytest.mark.parametrize("option", [option for option in ALL if slides(option)], ids=lambda option: option.name)
def test_a_default_is_reachable_on_its_slider(option):
    made = control(option, shown(option, option.default))
    assert isinstance(made, gr.Slider)
    marks = (option.default - made.minimum) / made.step
    assert abs(marks - round(marks)) < 1e-6 and made.minimum <= option.default <= made.maximum


def test_a_wide_range_is_no_slider():
    assert not slides(OPTIONS["grad_clip"]) and not slides(OPTIONS["learning_rate"]) and slides(OPTIONS["dropout"])


def test_suggestions_can_be_chosen_and_anything_else_typed():
    made = control(OPTIONS["corpus"], "python-docs")
    assert isinstance(made, gr.Dropdown) and made.allow_custom_value
    assert {value for _, value in made.choices} == set(OPTIONS["corpus"].show.suggestions)


def test_numbers_are_not_rounded_to_please():
    assert meant(OPTIONS["batch_size"], 8.0) == 8 and isinstance(meant(OPTIONS["batch_size"], 8.0), int)
    assert meant(OPTIONS["batch_size"], 2.5) == 2.5  # for the service to refuse


def test_texts_are_lines_and_an_empty_nullable_text_is_left_to_choose():
    assert meant(OPTIONS["sample_prompts"], " The \n\nReturn") == ("The", "Return")
    assert meant(OPTIONS["val_corpus"], "  ") is None and meant(OPTIONS["name"], "") == ""


def contents(**changes) -> list:
    return [changes.get(name, shown(option, option.default)) for name, option in OPTIONS.items()]


def test_what_is_switched_off_is_not_sent():
    given = contents(config_name="nano", n_layer=4, attention_impl="manual", sdpa_kernel="flash", tokenizer="char")
    values = values_of(OPTIONS, given)
    assert not {"n_layer", "sdpa_kernel", "vocab_size"} & values.keys()
    PretrainConfig.build(values)
    given = contents(config_name="custom", n_layer=4, attention_impl="sdpa", sdpa_kernel="math", tokenizer="bpe")
    assert {"n_layer", "sdpa_kernel", "vocab_size"} <= values_of(OPTIONS, given).keys()


def test_options_that_depend_name_real_options_and_values():
    for name, (other, needed) in ONLY_WITH.items():
        options = OPTIONS if name in OPTIONS else TUNING
        assert name in options and set(needed) < set(options[other].choices)
        assert not is_on(name, {other: "something else"}) and all(is_on(name, {other: value}) for value in needed)


def test_yes_or_no_can_be_left_to_choose():
    packing = TUNING["packing"]
    assert [meant(packing, shown(packing, value)) for value in (None, True, False)] == [None, True, False]


def test_a_cleared_number_without_a_choice_of_ours_is_named():
    assert empty_but_needed(OPTIONS, contents(batch_size=None, max_steps=None)) == ["batch_size"]
