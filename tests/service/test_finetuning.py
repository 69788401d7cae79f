"""Fine-tuning through the lab's door: tiny real models, from rows to an adapter that others load."""

import json
import random
import textwrap

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llm_testing.errors import ConfigError, UserError, WrongState
from llm_testing.jobs.control import Control
from llm_testing.model.generate import Sampling
from llm_testing.train.events import Logged, Remembered
from tests import forked
from tests.data.tiny_model import tiny_model, write_rows
from tests.service.parts import curve, final_weights, resume, run, until

WORDS = ("one", "two", "three", "four", "five", "six", "hello", "name")
TUNING = {
    "adapter": "lora",
    "lora_r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.1,
    "optim": "adamw_torch",
    "precision": "fp32",
    "max_seq_length": 64,
    "batch_size": 4,
    "gradient_accumulation": 2,
    "learning_rate": 1e-2,
    "max_steps": 6,
    "logging_steps": 1,
    "eval_steps": 3,
    "eval_batches": 2,
    "sample_prompts": ("What is your name?",),
    "sample_tokens": 4,
    "threads": 1,
}
KILLED = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from llm_testing.jobs.control import Control
    from llm_testing.service.lab import Lab

    lab = Lab(Path(sys.argv[1]), Path(sys.argv[2]))
    lab.finetuning.run_here(json.loads(sys.argv[3]), control=Control())
    """
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    draw = random.Random(1)
    said = [
        {
            "prompt": " ".join(draw.choices(WORDS, k=draw.randint(1, 9))),
            "completion": f"My name is {draw.choice(WORDS)}",
        }
        for _ in range(40)
    ]
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", said)


@pytest.fixture
def values(base, rows):
    return {**TUNING, "model_name": str(base), "dataset": str(rows)}


def tune(lab, values, on_event=lambda event: None, control=None, **more):
    return lab.finetuning.run_here({**values, **more}, control=control or Control(), on_event=on_event)


def folder_of(lab, run_id):
    return lab.runs_dir / run_id


def losses(lab, run_id):
    return [row["train_loss"] for row in lab.points(run_id).rows]


@pytest.mark.parametrize("more", [{}, {"fast_mode": True}, {"adapter": "qlora"}, {"adapter": "full"}])
def test_a_probe_runs_real_steps_of_a_model_that_is_filled_with_zeros(lab, values, more):
    found = lab.estimates.probe(lab.finetuning.config({**values, **more}))
    assert found["estimate"]["allocated_bytes"] == pytest.approx(found["measured"]["allocated_bytes"], rel=0.01)
    assert len(lab.estimates.accuracy()["points"]) == 1 and lab.rows() == []


# peft 0.21 asks transformers for an attribute's old name: https://github.com/huggingface/peft
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_run_learns_and_leaves_an_adapter_that_peft_loads(lab, values):
    run_id = tune(lab, values, max_steps=24)
    details = lab.details(run_id)
    assert details["state"] == "completed", details["error"]
    assert details["kind"] == "finetune" and details["name"].endswith("-rows")
    assert losses(lab, run_id)[-1] < losses(lab, run_id)[0] - 0.3
    assert details["model"] == {"name": values["model_name"], "origin": "folder", "revision": None}
    data = details["data"]
    assert (data["data_format"], data["template"], data["num_rows"]) == ("prompt_completion", "model", 40)
    assert 0 < details["parameters"]["trainable"] < details["parameters"]["total"] / 2
    told, measured = details["estimate"], details["measured"]["allocated_bytes"]
    assert told["num_trainable"] == details["parameters"]["trainable"]
    assert details["estimated_bytes"] == told["allocated_bytes"] == pytest.approx(measured, rel=0.02)
    adapter = folder_of(lab, run_id) / "adapter"
    card = (adapter / "README.md").read_text(encoding="utf-8")
    assert "40 rows" in card and "| lora_r | 4 |" in card
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(values["model_name"]), str(adapter)).eval()
    ours, chat = lab._reader.open_model(run_id, 24)
    tokens = torch.tensor([chat.encode("one two")])
    with torch.no_grad():
        expected, found = ours(tokens), loaded(tokens).logits
    # Fused and plain attention agree to rounding.
    torch.testing.assert_close(expected, found, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(expected, AutoModelForCausalLM.from_pretrained(values["model_name"])(tokens).logits)


def test_a_tuned_model_answers_and_exports_with_its_adapter_merged(lab, values, tmp_path):
    run_id = tune(lab, values, max_steps=24, adapter="lora")
    answer = "".join(lab.generate(run_id, "one two", Sampling(max_tokens=12, temperature=0)))
    assert answer.startswith("My name is")
    lab.export(run_id, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(str(tmp_path / "merged"))
    ours, chat = lab._reader.open_model(run_id, 24)
    tokens = torch.tensor([chat.encode("one two")])
    with torch.no_grad():
        torch.testing.assert_close(merged(tokens).logits, ours(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adapter", ["lora", "qlora", "full"])
def test_fast_and_compatible_mode_and_packed_and_padded_rows_have_the_same_losses(lab, values, adapter):
    common = {"adapter": adapter, "lora_dropout": 0.0, "max_steps": 4, "sample_every": 0}
    common["learning_rate"] = 1e-3 if adapter == "full" else 1e-2
    plain = tune(lab, values, **common)
    fast = tune(lab, values, **common, fast_mode=True, packing=False)
    assert losses(lab, fast) == pytest.approx(losses(lab, plain), rel=1e-4)
    # All rows in every step, so that packing changes how they lie and not which they are.
    whole = {**common, "batch_size": 64, "gradient_accumulation": 1}
    padded, packed = (tune(lab, values, **whole, packing=packing) for packing in (False, True))
    assert losses(lab, packed) == pytest.approx(losses(lab, padded), rel=1e-4)
    assert lab.result(packed)["tokens_seen"] == lab.result(padded)["tokens_seen"]


def test_accumulation_equals_one_large_batch_though_rows_have_different_lengths(lab, values):
    common = {"lora_dropout": 0.0, "max_steps": 3}
    small = tune(lab, values, **common, batch_size=2, gradient_accumulation=4)
    large = tune(lab, values, **common, batch_size=8, gradient_accumulation=1)
    assert losses(lab, small) == pytest.approx(losses(lab, large), rel=1e-5)


@pytest.mark.proof
@pytest.mark.parametrize("packing", [False, True], ids=["padded", "packed"])
@pytest.mark.parametrize(
    ("adapter", "optim"), [("lora", "adamw_torch"), ("qlora", "adamw_8bit"), ("full", "adamw_torch")]
)
def test_a_killed_run_resumes_bit_for_bit(lab, values, adapter, optim, packing):
    """SIGKILL at a random point of a real process, then resume: the same curve and the same weights."""
    values = {**values, "adapter": adapter, "optim": optim, "fast_mode": packing, "save_every": 2, "max_steps": 8}
    values |= {"keep_checkpoints": 9, "learning_rate": 1e-3 if adapter == "full" else 1e-2}
    whole = tune(lab, values)
    before = {row.run_id for row in lab.rows()}
    process = forked.start(["-c", KILLED, str(lab.runs_dir), str(lab.cache_dir), json.dumps(values)])
    try:
        until(lambda: {row.run_id for row in lab.rows()} - before or process.poll() is not None)
        (killed,) = {row.run_id for row in lab.rows()} - before
        kill_after = random.Random(f"{adapter}{packing}").randint(3, 7)
        metrics = folder_of(lab, killed) / "metrics.jsonl"
        until(lambda: process.poll() is not None or metrics.exists() and metrics.read_bytes().count(b"\n") > kill_after)
    finally:
        process.kill()
        process.wait()
    if lab.details(killed)["state"] != "completed":
        assert lab.details(killed)["state"] == "interrupted"
        resume(lab, killed)
    assert lab.details(killed)["state"] == "completed", lab.details(killed)["error"]
    assert curve(lab, killed) == curve(lab, whole)
    assert final_weights(lab, killed) == final_weights(lab, whole)


def test_a_checkpoint_of_an_adapter_holds_the_adapter_alone(lab, values, base):
    run_id = tune(lab, values)
    weights = load_file(folder_of(lab, run_id) / "checkpoints" / "step-00000006" / "model.safetensors")
    assert all(".lora_" in name for name in weights)
    assert sum(weight.numel() for weight in weights.values()) == lab.result(run_id)["num_trainable"]


def test_qlora_trains_beside_four_bits(lab, values):
    run_id = tune(lab, values, adapter="qlora", optim="paged_adamw_8bit", max_steps=12)
    assert lab.details(run_id)["state"] == "completed", lab.details(run_id)["error"]
    assert losses(lab, run_id)[-1] < losses(lab, run_id)[0]
    assert any("Paging" in warning for warning in lab.last().warnings)
    # Looking at the model between steps must not change how it goes on.
    unwatched = tune(lab, values, adapter="qlora", optim="paged_adamw_8bit", max_steps=12, eval_steps=100)
    assert losses(lab, unwatched) == losses(lab, run_id)
    assert lab.result(run_id)["num_parameters"] == lab.result(tune(lab, values))["num_parameters"]


def test_rank_stabilised_and_weight_decomposed_adapters_differ(lab, values):
    common = {"max_steps": 3, "lora_dropout": 0.0}
    plain, rank, dora = (tune(lab, values, **common, **more) for more in ({}, {"use_rslora": True}, {"use_dora": True}))
    assert len({final_weights(lab, run_id) for run_id in (plain, rank, dora)}) == 3
    assert lab.result(dora)["num_trainable"] > lab.result(plain)["num_trainable"] == lab.result(rank)["num_trainable"]


def test_stopped_resumed_extended_and_forked_as_any_run(lab, values):
    whole, control = tune(lab, values), Control()
    stopped = tune(
        lab, values, control=control,
        on_event=lambda event: isinstance(event, Logged) and event.step == 3 and control.request_stop("save"),
    )  # fmt: skip
    assert lab.details(stopped)["state"] == "stopped" and (folder_of(lab, stopped) / "adapter").is_dir()
    resume(lab, stopped)
    assert curve(lab, stopped) == curve(lab, whole) and final_weights(lab, stopped) == final_weights(lab, whole)
    resume(lab, stopped, max_steps=8)
    assert lab.result(stopped)["step"] == 8
    fork = tune(lab, {"resume_from": f"{whole}/step-00000006", "max_steps": 2, "learning_rate": 1e-3})
    assert lab.result(fork)["step"] == 8 and lab.details(fork)["parent"]["run_id"] == whole
    with pytest.raises(ConfigError, match="lora_r: A fork keeps its parent's lora_r, 4; received 8"):
        lab.finetuning.start({"resume_from": whole, "lora_r": 8})


def test_what_is_forgotten_is_measured_at_the_beginning_and_the_end(lab, values):
    seen, control = [], Control()

    def stop_at_3(event):
        seen.append(event)
        if isinstance(event, Logged) and event.step == 3:
            control.request_stop("save")

    run_id = tune(lab, values, stop_at_3, control, measure_forgetting=True)
    (first,) = (event for event in seen if isinstance(event, Remembered))
    assert first.step == 0 and first.perplexity == first.before and first.num_tokens >= 1024
    assert lab.details(run_id)["summary"]["general_text"] == {"perplexity": first.before, "before": first.before}
    resume(lab, run_id, seen.append)
    _, last = (event for event in seen if isinstance(event, Remembered))
    assert last.step == 6 and last.before == first.before and last.perplexity != last.before
    assert lab.details(run_id)["summary"]["general_text"] == {"perplexity": last.perplexity, "before": last.before}
    rows = [row for row in lab.events(run_id).rows if row["event"] == "remembered"]
    assert [(row["step"], row["perplexity"]) for row in rows] == [(0, first.perplexity), (6, last.perplexity)]
    # Looking changes nothing.
    assert losses(lab, run_id) == losses(lab, tune(lab, values))
    assert "general_text" not in lab.details(tune(lab, values, max_steps=1))["summary"]


def test_a_pretrained_run_of_our_own_is_a_base_model(lab, values):
    pretrained = run(lab, context_length=256)
    tuned = tune(lab, values, model_name=pretrained, max_seq_length=256, max_steps=2, batch_size=2, n_examples=6)
    details = lab.details(tuned)
    assert details["state"] == "completed", details["error"]
    assert details["model"]["origin"] == "run" and details["model"]["revision"].startswith(pretrained)
    assert details["data"]["template"] == "alpaca" and details["name"] == "tiny-1x16-rows"
    assert any("has no chat template of its own" in warning for warning in lab.last().warnings)


LONG = "max_seq_length: This model looks back 128 tokens; received 512. Take 128 or less."


@pytest.mark.parametrize(
    ("more", "message"), [({"target_modules": ("nonsense",)}, "nonsense"), ({"max_seq_length": 512}, LONG)]
)
def test_what_cannot_be_trained_ends_in_one_clear_sentence(lab, values, more, message, monkeypatch):
    # As for a model of the Hub that has not been fetched yet.
    monkeypatch.setattr(lab.finetuning._estimates, "context_of", lambda name: None)
    run_id = tune(lab, values, **more)
    details = lab.details(run_id)
    assert details["state"] == "failed" and message in details["error"]
    assert lab.last().error.traceback == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model_name": "./nowhere"}, "model_name: There is no folder ./nowhere with a model in it"),
        ({"model_name": "no such model"}, "model_name: There is no model 'no such model'. Take one of the list"),
        ({"model_name": "nothing.gguf"}, "model_name: There is no file nothing.gguf"),
        ({"dataset": "no dataset"}, "dataset: There is no dataset 'no dataset'. Take persona"),
        ({"data_format": "chat"}, "has no field messages; its fields are prompt, completion"),
        ({"max_seq_length": 512}, LONG),
        ({"max_seq_length": 8}, "Nothing of .*rows.jsonl would be trained"),
    ],
)
def test_what_is_at_hand_is_looked_at_before_there_is_a_run(lab, values, more, message):
    with pytest.raises(UserError, match=message):
        tune(lab, values, **more)
    assert lab.rows() == []


def test_a_draft_says_at_once_that_its_model_does_not_look_back_so_far(lab, values):
    (wrong,) = lab.finetuning.preview({"model_name": "gpt2", "max_seq_length": 2000}).problems
    assert wrong.field == "max_seq_length" and "looks back 1,024 tokens; received 2,000" in wrong.message
    # A path is not opened while it is typed.
    assert lab.finetuning.preview({**values, "max_seq_length": 512}).problems == ()


def test_a_tuned_run_stands_among_the_others(lab, values):
    pretrained, tuned = run(lab), tune(lab, values)
    assert {row.run_id for row in lab.rows()} == {pretrained, tuned} and all(row.damaged is None for row in lab.rows())
    assert {row["run_id"] for row in lab.listing()} == {pretrained, tuned}
    assert {row.run_id for row in lab.checkpoints()} == {pretrained, tuned}
    assert lab.compare([pretrained, tuned])["results"][tuned]["step"] == 6
    assert lab.preview_resume(tuned, {"max_steps": 9})[0] == "Goes on at step 6 of 9."
    assert lab.preview({"corpus": "tiny", "tokenizer": "char"}).problems == ()
    assert lab.playground.complete(tuned, "one two", Sampling(4, temperature=0)).tokens_generated == 4
    with pytest.raises(WrongState, match="attention is shown of models trained here"):
        lab.playground.heads(tuned, "one")


def test_a_look_at_the_examples_shows_what_is_learned_and_what_is_wrong(lab, values, tmp_path):
    rows = [{"prompt": "one two", "completion": "three"}, {"prompt": "one", "completion": ""}, {"prompt": "four " * 60}]
    rows[2]["completion"] = "five"
    path = write_rows(tmp_path / "rows.jsonl", rows)
    view = lab.finetuning.view_examples({**values, "dataset": str(path)}, num_shown=1)
    (seen,) = view.sequences
    assert "".join(text for text, learned in seen.pieces if learned) == "three<|im_end|>"
    assert "".join(text for text, _ in seen.pieces).startswith("<|im_start|>user\none two<|im_end|>")
    assert [str(problem) for problem in view.problems] == [
        "Line 2 of rows.jsonl has no answer: its completion is empty."
    ]
    assert (view.num_rows, view.num_sequences, view.num_left_out) == (3, 1, 1)
    assert sum(count for _, _, count in view.histogram) == 1 and view.share_cut == 0
    assert view.share_masked == 1 - view.num_learned / view.num_tokens
    assert lab.rows() == []


def test_a_dataset_that_is_not_there_is_refused_before_there_is_a_run(lab, values):
    with pytest.raises(ConfigError, match="dataset: There is no file or folder .*nowhere.jsonl"):
        lab.finetuning.start({**values, "dataset": "./nowhere.jsonl"})
    assert lab.rows() == []


def test_a_sweep_tunes_in_turn_and_is_summed_up_best_first(lab, values):
    over = {"lora_r": [2, 8], "learning_rate": [1e-4, 1e-2]}
    planned = lab.sweeps.plan("finetune", values, over, name="ranks")
    assert [config.lora_r for config in planned.configs] == [2, 2, 8, 8]
    run_ids = lab.sweeps.run_here(planned, lambda *told: None, control=Control())
    summary = lab.sweeps.summary("ranks")
    assert (summary["kind"], summary["options"]) == ("finetune", ["lora_r", "learning_rate"])
    assert {run["run_id"] for run in summary["runs"]} == set(run_ids)
    reached = [run[summary["by"]] for run in summary["runs"]]
    assert reached == sorted(reached) and summary["runs"][0]["values"]["learning_rate"] == 1e-2
    trainable = {run["values"]["lora_r"]: run["num_trainable"] for run in summary["runs"]}
    assert trainable[8] == 4 * trainable[2], "each run was tuned with its own rank"
    with pytest.raises(ConfigError, match="lora_r.*received 0"):
        lab.sweeps.plan("finetune", values, {"lora_r": [0, 8]})
