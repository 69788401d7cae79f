"""The declaration of options: complete for people, strict for machines, one message for each thing that is wrong."""

import math
from pathlib import Path

import pytest

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Option, Options, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError

OPTIONS = options_of(PretrainConfig)
TUNING = options_of(FinetuneConfig)
HERE = Path(__file__).parent
BOTH = [(PretrainConfig, o) for o in OPTIONS.values()] + [(FinetuneConfig, o) for o in TUNING.values()]
EVERY = pytest.mark.parametrize(
    ("kind", "option"), BOTH, ids=[f"{kind.__name__}-{option.name}" for kind, option in BOTH]
)


def refused(values: dict, kind: type[Options] = PretrainConfig) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        kind.build(values)
    return {problem.field: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(("options", "file"), [(OPTIONS, "names.txt"), (TUNING, "finetune_names.txt")])
def test_the_public_names_change_only_on_purpose(options: dict, file: str):
    assert list(options) == (HERE / file).read_text(encoding="utf-8").split()


@EVERY
def test_an_option_says_what_it_is_and_does(kind: type[Options], option: Option):
    assert option.show.title and option.show.group
    assert option.help.endswith(".") and "  " not in option.help
    assert option.accepts()


@EVERY
def test_help_repeats_neither_default_nor_range(kind: type[Options], option: Option):
    """They are printed from the facts beside it."""
    assert "default" not in option.help.lower()
    for bound in (option.minimum, option.maximum):
        assert bound in (None, 0, 1) or str(bound) not in option.help


@EVERY
def test_a_default_lies_in_its_own_range(kind: type[Options], option: Option):
    if option.kind in ("int", "float"):
        assert option.minimum is not None, "a number without a least value cannot be a slider"
        assert option.default is None or option.minimum <= option.default <= (option.maximum or math.inf)
    if option.kind == "choice":
        assert option.default in option.choices
    assert option.nullable == (option.default is None)


@EVERY
def test_every_option_can_be_given_its_own_default_and_null(kind: type[Options], option: Option):
    given = kind.build({option.name: option.default})
    assert given == kind.build({option.name: None}) == kind()


@EVERY
def test_no_option_takes_a_value_of_another_type(kind: type[Options], option: Option):
    wrong = {"int": "8", "float": "0.1", "bool": 1, "choice": 3, "text": 7, "texts": 7}[option.kind]
    message = refused({option.name: wrong}, kind)[option.name]
    assert message.startswith(f"{option.show.title} takes {option.accepts()}")
    assert message.endswith(f"; received {wrong!r}.")


@pytest.mark.parametrize("option", [o for o in OPTIONS.values() if o.kind in ("int", "float")], ids=lambda o: o.name)
def test_numbers_are_numbers_within_their_range(option: Option):
    over = (option.maximum + 1, option.minimum - 1, math.nan, math.inf, -math.inf, True)
    for value in [*over, 2.5] if option.kind == "int" else over:
        assert option.name in refused({"config_name": "custom", option.name: value})
    for value in (option.minimum, option.maximum):
        kept = {option.name: value, "config_name": "custom", "n_head": 1}
        assert getattr(PretrainConfig.build(kept | {option.name: value}), option.name) == value


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"corpsu": "tiny"}, "corpsu", "There is no option 'corpsu'. Did you mean corpus?"),
        (
            {"learning_rate": math.nan},
            "learning_rate",
            "Learning rate takes a number from 1e-08 to 1.0; received nan.",
        ),
        (
            {"config_name": "custom", "n_layer": 0},
            "n_layer",
            "Layers takes a whole number from 1 to 128, or nothing; received 0.",
        ),
        (
            {"config_name": "custom", "n_embd": 10, "n_head": 3},
            "n_head",
            "Heads must divide the width 10; received 3. 1, 2, 5, 10 would do.",
        ),
        (
            {"n_layer": 2},
            "n_layer",
            "n_layer belongs to a custom model, but config_name is nano. "
            "Set config_name to custom, or leave n_layer out.",
        ),
        ({"batch_size": 2.5}, "batch_size", "Batch size takes a whole number from 1 to 4,096; received 2.5."),
        ({"batch_size": True}, "batch_size", "Batch size takes a whole number from 1 to 4,096; received True."),
        ({"precision": "fp8"}, "precision", "Precision takes one of fp32, bf16, fp16; received 'fp8'."),
        ({"corpus": ""}, "corpus", "Corpus takes text of 1 to 4,096 characters; received ''."),
        ({"device": "gpu"}, "device", "Device takes text like auto, cpu, cuda:0, mps; received 'gpu'."),
        (
            {"sample_prompts": "abc"},
            "sample_prompts",
            "Sample prompts takes a list of at most 8 texts; received 'abc'.",
        ),
        (
            {"sdpa_kernel": "flash"},
            "sdpa_kernel",
            "An SDPA kernel only works with attention_impl sdpa; received flash with manual. "
            "Choose sdpa, or leave the kernel at auto.",
        ),
    ],
)
def test_bad_input_gets_one_sentence_that_says_what_would_do(values: dict, field: str, message: str):
    assert refused(values) == {field: message}


def test_all_problems_come_at_once():
    assert refused({"batch_size": 0, "dropout": 2, "nope": 1, "seed": "x"}).keys() == {
        "batch_size", "dropout", "nope", "seed"
    }  # fmt: skip


@pytest.mark.parametrize("values", ["x", [1], 3])
def test_something_that_is_no_set_of_options_is_refused(values: object):
    assert refused(values) == {"": f"A config is a set of option names and values; received {values!r}."}


def test_a_very_long_value_is_not_repeated_in_full():
    assert len(refused({"name": "x" * 100_000})["name"]) < 200


def test_the_bare_defaults_mean_what_their_absence_meant_to_earlier_clients():
    config = PretrainConfig()
    assert (config.attention_impl, config.precision, config.tokenizer, config.config_name) == (
        "manual", "fp32", "gpt2", "nano"
    )  # fmt: skip
    assert (config.dropout, config.epochs, config.batch_size, config.grad_accum_steps) == (0.1, 10, 4, 1)
    assert not (config.tie_embeddings or config.gradient_checkpointing or config.save_checkpoints)


@pytest.mark.parametrize("option", [o for o in TUNING.values() if o.kind in ("int", "float")], ids=lambda o: o.name)
def test_numbers_of_fine_tuning_are_numbers_within_their_range(option: Option):
    for value in (option.maximum + 1, option.minimum - 1, math.nan, math.inf, -math.inf, True):
        assert option.name in refused({option.name: value}, FinetuneConfig)
    for value in (option.minimum, option.maximum):
        assert getattr(FinetuneConfig.build({option.name: value}), option.name) == value


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"lora_r": 0}, "lora_r", "LoRA rank takes a whole number from 1 to 1,024; received 0."),
        ({"lora_alpha": math.nan}, "lora_alpha", "LoRA alpha takes a whole number from 1 to 4,096; received nan."),
        (
            {"columns": ("question",)},
            "columns",
            "A column mapping looks like instruction=question, and ours is one of instruction, input, output, "
            "messages, conversations, prompt, completion, text, system; received 'question'.",
        ),
        (
            {"adapter": "full", "precision": "fp16", "base_dtype": "fp16"},
            "base_dtype",
            "Weights that are trained cannot be held in fp16, whose gradients overflow. "
            "Choose auto, fp32 or bf16, or an adapter.",
        ),
    ],
)
def test_bad_fine_tuning_options_get_one_sentence(values: dict, field: str, message: str):
    assert refused(values, FinetuneConfig) == {field: message}


def test_what_earlier_fine_tuning_clients_left_out_means_what_it_did():
    config = FinetuneConfig()
    assert (config.model_name, config.dataset, config.n_examples) == (
        "unsloth/Qwen2.5-7B-Instruct", "yahma/alpaca-cleaned", 500
    )  # fmt: skip
    assert (config.max_seq_length, config.lora_r, config.lora_alpha, config.lora_dropout) == (1024, 32, 32, 0.05)
    assert (config.batch_size, config.gradient_accumulation, config.learning_rate) == (4, 4, 2e-4)
    assert (config.num_epochs, config.warmup_ratio, config.logging_steps, config.eval_steps) == (1, 0.1, 10, 50)
    assert (config.optim, config.adapter, config.use_gradient_checkpointing) == ("adamw_8bit", "qlora", True)
    assert not config.fast_mode and not config.packs and config.save_adapter and config.val_share == 0.1
