"""`estimate` and `fit` through the command line."""

import pytest

from tests.cli.conftest import SMALL

KEYS = [
    *("verdict", "allocated_bytes", "reserved_bytes", "minimum_bytes", "context_bytes", "terms"),
    *("num_parameters", "num_trainable", "seconds"),
]
pytestmark = pytest.mark.proof


def test_an_estimate_is_one_json_object_with_the_keys_of_the_contract(say):
    said = say("estimate", "pretrain", *SMALL, "--gpu-memory-gb", "16", "--json")
    assert said.status == 0
    told = said.json()
    assert list(told)[: len(KEYS)] == KEYS
    assert (told["verdict"], told["budget"]) == ("fits", "a card of 16 GB")


def test_an_estimate_in_words_names_card_terms_and_verdict(say):
    said = say("estimate", "pretrain", *SMALL, "--card", "T4")
    assert said.out.startswith("fits: T4, 14.75 GiB free\n") and "weights" in said.out and "reserved" in said.out


def test_fine_tuning_is_estimated_from_the_models_config_alone(say):
    said = say("estimate", "finetune", "--model-name", "gpt2", "--adapter", "lora", "--max-seq-length", "64", "--json")
    assert said.json()["num_trainable"] < said.json()["num_parameters"] == 124_439_808 + said.json()["num_trainable"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("estimate", "pretrain", "--card", "RTX 1"), "There is no card 'RTX 1'"),
        (("estimate", "pretrain", "--gpu-memory-gb", "0"), "from 1 to 10,000"),
        (("estimate", "finetune", "--model-name", "./nowhere"), "There is no nowhere/config.json"),
        (("estimate", "finetune", "--lora-r", "0"), "LoRA rank takes a whole number from 1"),
        (("estimate", "pretrain", "--preset", "none", "--n-embd", "20"), "n_embd belongs to a custom model"),
        (("fit", "pretrain", "--largest", "dropout"), "The largest dropout is not a question here"),
    ],
)
def test_wrong_use_ends_with_2_and_a_line(say, args, message):
    said = say(*args)
    assert said.status == 2 and message in said.err and "Traceback" not in said.err


def test_fit_says_what_to_change_and_ends_with_1_where_nothing_helps(say):
    said = say("fit", "pretrain", *SMALL, "--gpu-memory-gb", "16", "--json")
    ways = said.json()["ways"]
    assert said.status == 0 and 1 <= len(ways) <= 3 and all(way["verdict"] == "fits" for way in ways)
    nothing = say("fit", "pretrain", "--config-name", "xlarge", "--gpu-memory-gb", "1")
    assert nothing.status == 1 and "makes this run fit a card of 1 GB" in nothing.err
