"""No option without effect: for each, a changed value and what it changes; an option without a row fails the test."""

from unittest.mock import patch

import pytest
import torch
from torch.nn import functional as F

from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError
from llm_testing.model import kernels
from llm_testing.model.gpt import Block
from llm_testing.service.lab import Lab
from llm_testing.train.session import check_device
from tests.service.parts import TINY, curve, run

pytestmark = pytest.mark.proof

OWN_TEXT = " ".join(
    f"{word.title()} number {i} becomes a {word[::-1]} that somebody reads."
    for i, word in enumerate(
        "letter word sentence page chapter book shelf library city country continent planet".split() * 3
    )
)


def losses(lab, run_id):
    return [row[2] for row in curve(lab, run_id)]


def learning_rates(lab, run_id):
    return [row[5] for row in curve(lab, run_id)]


def steps(lab, run_id):
    return [row["step"] for row in lab.points(run_id).rows]


def validated(lab, run_id):
    return [(row["step"], row["val_loss"]) for row in lab.points(run_id).rows if row["val_loss"] is not None]


def sampled(lab, run_id):
    return [(row["step"], row["prompt"], len(row["text"])) for row in lab.samples(run_id).rows]


def checkpoints(lab, run_id):
    return [(c["step"], c["kinds"]) for c in lab.details(run_id)["checkpoints"]]


def parameters(lab, run_id):
    return lab.result(run_id)["num_parameters"]


def vocabulary(lab, run_id):
    return lab.details(run_id)["data"]["vocab_size"]


def name(lab, run_id):
    return lab.details(run_id)["name"]


BPE = {"tokenizer": "bpe", "corpus": "OWN", "vocab_size": 300}
EFFECTS = {
    # option: (changed value, what it changes, what both runs are based on)
    "name": ("another", name, {}),
    "corpus": ("OWN", losses, {}),
    "val_corpus": ("OWN", validated, {}),
    "tokenizer": ("bpe", vocabulary, {"corpus": "OWN", "vocab_size": 300}),
    "vocab_size": (320, vocabulary, BPE),
    "config_name": ("small", parameters, {"n_layer": None, "n_head": None, "n_embd": None, "max_steps": 1}),
    "n_layer": (2, parameters, {}),
    "n_head": (1, losses, {}),
    "n_embd": (32, parameters, {}),
    "context_length": (8, losses, {}),
    "dropout": (0.3, losses, {}),
    "tie_embeddings": (True, parameters, {}),
    "qkv_bias": (True, parameters, {}),
    "epochs": (2, steps, {"max_steps": None, "epochs": 1}),
    "max_steps": (7, steps, {}),
    "batch_size": (3, losses, {}),
    "grad_accum_steps": (2, losses, {}),
    "learning_rate": (2e-2, losses, {}),
    "warmup_steps": (4, learning_rates, {}),
    "lr_schedule": ("linear", learning_rates, {}),
    "min_lr_ratio": (0.5, learning_rates, {}),
    "optimizer": ("adamw_8bit", losses, {"n_embd": 64, "max_steps": 12}),
    "weight_decay": (1.0, losses, {"learning_rate": 0.1}),
    "beta1": (0.5, losses, {}),
    "beta2": (0.5, losses, {}),
    "grad_clip": (0.01, losses, {"beta2": 0.5}),
    "precision": ("bf16", losses, {}),
    "seed": (2, losses, {}),
    "intermediate_val_freq_steps": (2, validated, {}),
    "intermediate_val_num_batches": (1, validated, {"corpus": "OWN"}),
    "patience": (1, steps, {"learning_rate": 1.0, "grad_clip": 0.0, "intermediate_val_freq_steps": 1, "max_steps": 40}),
    "log_every": (3, steps, {}),
    "sample_every": (2, sampled, {}),
    "sample_prompts": (("A", "B"), sampled, {}),
    "sample_tokens": (9, sampled, {}),
    "save_checkpoints": (True, checkpoints, {"max_steps": 8, "intermediate_val_freq_steps": 8}),
    "save_every": (2, checkpoints, {"intermediate_val_freq_steps": 6}),
    "keep_checkpoints": (1, checkpoints, {"intermediate_val_freq_steps": 6, "save_every": 2}),
}
ELSEWHERE = {
    "attention_impl", "sdpa_kernel", "gradient_checkpointing", "device", "tf32", "threads", "resume_from",
}  # fmt: skip


def test_every_option_has_a_row():
    assert set(EFFECTS) | ELSEWHERE == set(options_of(PretrainConfig))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, shared_cache):
    """Makes a run of given values, or gives the one that was made of the same."""
    root = tmp_path_factory.mktemp("effects")
    own, lab, made = root / "own.txt", Lab(root / "runs", shared_cache), {}
    own.write_text(OWN_TEXT)

    def make(values):
        key = repr(sorted(values.items()))
        if key not in made:
            run_id = run(lab, **{k: str(own) if v == "OWN" else v for k, v in values.items()})
            assert lab.details(run_id)["state"] == "completed", lab.details(run_id)["error"]
            made[key] = run_id
        return lab, made[key]

    yield make
    assert lab.shutdown(60)


@pytest.mark.parametrize("option", EFFECTS)
def test_the_option_changes_something(trained, option):
    changed, look, base = EFFECTS[option]
    before, after = (look(*trained({**TINY, **base, **more})) for more in ({}, {option: changed}))
    assert before != after


def test_threads_are_what_the_run_computes_on(lab):
    if lab.machine().cores < 2:
        pytest.skip("needs two cores")
    for number in (2, 1):
        run(lab, threads=number, max_steps=1)
        assert torch.get_num_threads() == number


def test_attention_and_kernel_choose_what_computes_attention(lab):

    with patch.object(F, "scaled_dot_product_attention", wraps=F.scaled_dot_product_attention) as fused:
        manual = run(lab, attention_impl="manual")
        assert not fused.called
        sdpa = run(lab, attention_impl="sdpa")
        assert fused.called
    assert losses(lab, manual) == pytest.approx(losses(lab, sdpa), abs=1e-4)

    with patch.object(kernels, "attention", wraps=kernels.attention) as forced:
        run(lab, attention_impl="sdpa", sdpa_kernel="math")
    # Every kernel is tried on 8 tokens at the start of a run; the model's own sequences have 16.
    assert {call.args[0] for call in forced.call_args_list if call.args[1].size(2) == 16} == {"math"}


def test_checkpointing_recomputes_blocks(lab):

    calls = []
    original = Block.forward

    def counted(self, x):
        calls.append(torch.is_grad_enabled() and self.training)
        return original(self, x)

    with patch.object(Block, "forward", counted):
        counts = []
        for checkpointing in (False, True):
            calls.clear()
            run(lab, gradient_checkpointing=checkpointing)
            counts.append(sum(calls))
    assert counts[1] == 2 * counts[0]


def test_device_and_tf32_are_taken_or_refused():
    assert str(check_device(PretrainConfig.build({"device": "cpu"}))) == "cpu"
    if not torch.cuda.is_available():
        for values in ({"device": "cuda:0"}, {"tf32": True}):
            with pytest.raises(ConfigError):
                check_device(PretrainConfig.build(values))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_tf32_sets_the_number_format_of_products(lab):
    for wanted in (True, False):
        run(lab, device="cuda:0", tf32=wanted)
        assert torch.backends.cuda.matmul.allow_tf32 is wanted
