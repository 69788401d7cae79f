"""The VRAM Estimator's form: options of the declared ones, and every one of them means something to the estimator."""

import pytest

from llm_testing.config.option import options_of
from llm_testing.ui.estimator import KINDS, asked_about, relevant
from llm_testing.ui.fields import shown


def contents(kind: str, **changed) -> list:
    options = relevant(kind)
    return [changed.get(name, shown(option, option.default)) for name, option in options.items()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_form_holds_declared_options_and_asks_about_all_that_are_set(kind):
    asked = asked_about(kind, contents(kind))
    assert asked["problems"] == []
    assert set(asked["config"]) <= set(options_of(KINDS[kind][1])) & set(KINDS[kind][2])
    assert all(value is not None for value in asked["config"].values())


def test_what_is_wrong_is_told_at_its_field_and_nothing_is_asked():
    asked = asked_about("pretraining", contents("pretraining", batch_size=0))
    assert asked["config"] is None
    (problem,) = asked["problems"]
    assert problem["field"] == "batch_size" and "received 0" in problem["message"]


def test_an_option_that_is_off_is_not_asked_about():
    asked = asked_about("pretraining", contents("pretraining", config_name="small", n_layer=3))
    assert "n_layer" not in asked["config"]
    asked = asked_about("pretraining", contents("pretraining", config_name="custom", n_layer=3))
    assert asked["config"]["n_layer"] == 3
