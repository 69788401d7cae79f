"""Models to take away: every form is what others load, with a card, and says nothing of this machine."""

import importlib.util
import json
import zipfile
from io import BytesIO

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from llm_testing.errors import ConfigError, DownloadError, UserError
from llm_testing.jobs.control import Control
from llm_testing.model.gguf_file import NoGguf
from llm_testing.service.lab import Lab
from tests.api.tuning_parts import body_at
from tests.control_texts import HOSTILE, raw_controls
from tests.hub.stand_in import writable_hub
from tests.service.parts import TINY, run, until

# peft 0.21 asks transformers for an attribute's old name: https://github.com/huggingface/peft
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
TOKEN = "hf_canary7f3a"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def lab(root):
    return Lab(root / "runs", root / "cache")


def tune(lab, root, **more) -> str:
    values = body_at(root, max_steps=8, save_every=4, eval_steps=4, learning_rate=3e-2, **more)
    run_id = lab.finetuning.run_here(values, control=Control())
    assert lab.details(run_id)["state"] == "completed", lab.details(run_id)["error"]
    return run_id


@pytest.fixture(scope="module")
def tuned(lab, root) -> str:
    return tune(lab, root)


def logits_of(model) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[5, 9, 40, 41, 7]])).logits


def ours(lab, run_id, step=8) -> torch.Tensor:
    model, _ = lab._reader.open_model(run_id, step)
    with torch.no_grad():
        return model(torch.tensor([[5, 9, 40, 41, 7]]))


@pytest.mark.parametrize("more", [{}, {"use_dora": True}, {"save_adapter": False}], ids=["lora", "dora", "not saved"])
def test_the_adapter_of_any_checkpoint_is_a_folder_of_peft(lab, root, tmp_path, more):
    run_id = tune(lab, root, **more)
    finished = lab.runs_dir / run_id / "adapter" / "adapter_model.safetensors"
    for step in (4, 8):
        folder = lab.finetuning.exports.write(f"{run_id}/step-{step:08d}", "adapter", tmp_path / f"{step}")
        base = AutoModelForCausalLM.from_pretrained(str(root / "tiny"))
        loaded = PeftModel.from_pretrained(base, str(folder)).eval()
        torch.testing.assert_close(logits_of(loaded), ours(lab, run_id, step), rtol=1e-4, atol=1e-5)
    if finished.exists():
        there, written = load_file(finished), load_file(folder / "adapter_model.safetensors")
        assert there.keys() == written.keys() and all(torch.equal(there[name], written[name]) for name in there)


def test_merged_weights_are_a_folder_of_transformers_with_the_runs_chat_template(lab, root, tmp_path):
    run_id = tune(lab, root, chat_template="chatml")
    folder = lab.finetuning.exports.write(run_id, "merged", tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(str(folder))
    torch.testing.assert_close(logits_of(merged), ours(lab, run_id), rtol=1e-4, atol=1e-5)
    template = AutoTokenizer.from_pretrained(str(folder)).chat_template
    assert "<|im_start|>" in template and template != AutoTokenizer.from_pretrained(str(root / "tiny")).chat_template


def test_every_form_has_a_card_and_names_no_path(lab, root, tuned, tmp_path):
    pretrained = run(lab)
    for what, form in ((tuned, "adapter"), (tuned, "merged"), (pretrained, "merged")):
        folder = lab.finetuning.exports.write(what, form, tmp_path / f"{what}-{form}")
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\nlibrary_name: ") and "| training loss, nats a token | " in card
        assert "| learning_rate | " in card and "8 steps" in card or "6 steps" in card
        for file in folder.iterdir():
            assert str(root).encode() not in file.read_bytes(), file.name
    assert "tiny tuned on rows.jsonl: 40 rows (prompt_completion)" in (
        tmp_path / f"{tuned}-adapter" / "README.md"
    ).read_text(encoding="utf-8")


def test_a_model_that_was_trained_whole_has_no_adapter(lab, root, tmp_path):
    whole = tune(lab, root, adapter="full")
    with pytest.raises(ConfigError, match="form: Run .* has no adapter, since its whole model was trained"):
        lab.finetuning.exports.write(whole, "adapter", tmp_path / "x")
    assert not (tmp_path / "x").exists() and list(tmp_path.iterdir()) == []
    merged = lab.finetuning.exports.write(whole, "merged", tmp_path / "whole")
    torch.testing.assert_close(
        logits_of(AutoModelForCausalLM.from_pretrained(str(merged))), ours(lab, whole), rtol=1e-4, atol=1e-5
    )


def test_a_zip_holds_the_folder_and_leaves_nothing_behind(lab, tuned):
    name, pieces = lab.finetuning.exports.zipped(tuned, "adapter")
    with zipfile.ZipFile(BytesIO(b"".join(pieces))) as archive:
        names = archive.namelist()
    assert name == f"{tuned}-step-8-adapter"
    assert {f"{name}/adapter_config.json", f"{name}/adapter_model.safetensors", f"{name}/README.md"} <= set(names)
    assert list((lab.cache_dir / "exports").iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed")
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_gguf_file_says_what_the_model_says(lab, root, tuned, tmp_path, kind):
    # transformers takes GPT-2's context for 1,024 tokens, whatever a GGUF file says of it.
    own = {
        "tokenizer": "bpe",
        "vocab_size": 300,
        "context_length": 1024,
        "max_steps": 2,
        "name": f"a {HOSTILE['link']}",
    }
    what = tuned if kind == "llama" else run(lab, **own)
    folder = lab.finetuning.exports.write(what, "gguf", tmp_path / "gguf")
    assert {file.name for file in folder.iterdir()} == {"model.gguf", "README.md"}
    where = {"pretrained_model_name_or_path": str(folder), "gguf_file": "model.gguf"}
    read = AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    merged = lab.finetuning.exports.write(what, "merged", tmp_path / "merged")
    expected = logits_of(AutoModelForCausalLM.from_pretrained(str(merged)).eval())
    torch.testing.assert_close(logits_of(read.eval()), expected, rtol=2e-2, atol=2e-2)
    theirs, own = AutoTokenizer.from_pretrained(**where), AutoTokenizer.from_pretrained(str(merged))
    text = "What is your name? One, two."
    assert theirs(text, add_special_tokens=False)["input_ids"] == own(text, add_special_tokens=False)["input_ids"]
    # Programs that load the file print its name.
    name = importlib.import_module("gguf").GGUFReader(folder / "model.gguf").get_field("general.name").contents()
    assert raw_controls(name, "") == [] and ("\\x1b]8;;https" in name) == (kind == "gpt2")


def test_without_the_package_the_refusal_says_what_llama_cpp_does(lab, tuned, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "gguf" else found(name, *more))
    with pytest.raises(NoGguf, match=r"pip install gguf.*--form merged.*convert_hf_to_gguf.py"):
        lab.finetuning.exports.write(tuned, "gguf", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with writable_hub(tmp_path / "hub", TOKEN, monkeypatch) as server:
        yield server


# The Hub's client sends files in a way that httpx gives up: https://github.com/huggingface/huggingface_hub
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_what_is_sent_to_the_hub_is_loaded_from_there(lab, root, tuned, hub, monkeypatch):
    lab.finetuning.pushes.start(tuned, "ann/persona", "adapter", True)
    until(lambda: lab.finetuning.pushes.all()[-1].state != "running")
    pushed = lab.finetuning.pushes.all()[-1]
    assert (pushed.state, pushed.url) == ("done", f"{hub.url}/ann/persona"), pushed.error
    there = hub.root / "ann" / "persona"
    base = AutoModelForCausalLM.from_pretrained(str(root / "tiny"))
    loaded = PeftModel.from_pretrained(base, str(there)).eval()
    torch.testing.assert_close(logits_of(loaded), ours(lab, tuned), rtol=1e-4, atol=1e-5)
    assert json.loads((there / "adapter_config.json").read_bytes())["base_model_name_or_path"] == "tiny"
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DownloadError, match="set HF_TOKEN"):
        lab.finetuning.exports.push(tuned, "ann/persona", "adapter", True)
    kept = [path for folder in (lab.runs_dir, lab.cache_dir) for path in folder.rglob("*") if path.is_file()]
    assert kept and not any(TOKEN.encode() in path.read_bytes() for path in kept)


def test_what_repeats_a_run_is_its_options(lab, root, tuned):
    copies = lab.finetuning.exports.repeat(tuned)
    assert copies["cli"].startswith("python -m llm_testing finetune --preset none") and "--lora-r=4" in copies["cli"]
    assert lab.finetuning.exports.repeat(run(lab, **TINY))["cli"].startswith("python -m llm_testing pretrain")
    with pytest.raises(UserError):
        lab.finetuning.exports.repeat("20260101-000000-aaaa")
