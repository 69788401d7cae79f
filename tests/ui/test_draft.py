"""The draft of a form: what an edit fills in, what it never touches, what a preset leaves, and what comes back."""

import pytest

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.models import find_model
from llm_testing.service.lab import Lab
from llm_testing.ui.draft import Draft, edited, forecast, preset_contents, restored
from llm_testing.ui.fields import values_of
from llm_testing.ui.forms import finetuning_form, model_choices, pretraining_form

QWEN = "unsloth/Qwen2.5-7B-Instruct"


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "runs", tmp_path / "cache")


@pytest.fixture
def form(lab):
    return finetuning_form(lab)


def after(form, draft: Draft, **changes) -> tuple[Draft, dict]:
    contents = {**form.by_name(draft.contents), **changes}
    return edited(form, draft.preset, list(contents.values()), draft.kept(form))


def test_a_picked_model_fills_in_its_length_and_rank(form):
    draft, filled = after(form, restored(form, None), model_name=QWEN)
    assert filled == {"max_seq_length": 1024, "lora_r": 32, "lora_alpha": 32}
    assert form.by_name(draft.contents)["max_seq_length"] == 1024 and draft.touched == ("model_name",)


def test_what_a_hand_has_set_is_never_filled_in(form):
    draft, _ = after(form, restored(form, None), lora_r=5)
    draft = restored(form, draft.kept(form))  # a refresh between
    draft, filled = after(form, draft, model_name=QWEN)
    assert "lora_r" not in filled and form.by_name(draft.contents)["lora_r"] == 5
    draft, filled = after(form, draft, model_name="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert filled == {"max_seq_length": 1024, "lora_alpha": 16}, "what was filled in is not a hand's"


def test_the_recommended_preset_keeps_model_and_rows_and_the_persona_brings_its_own(form):
    draft, _ = after(form, restored(form, None), model_name=QWEN, dataset="me/rows", name="mine", learning_rate=1.0)
    kept = form.by_name(preset_contents(form, "recommended", draft.contents))
    assert (kept["model_name"], kept["dataset"], kept["name"]) == (QWEN, "me/rows", "mine")
    assert kept["learning_rate"] != 1.0
    persona = form.by_name(preset_contents(form, "persona", draft.contents))
    assert (persona["dataset"], persona["name"]) == ("persona", "mine") and persona["model_name"] != QWEN


def test_a_draft_of_another_version_lacks_nothing(form):
    draft = restored(form, {"preset": "gone", "contents": {"lora_r": 7}, "touched": ["lora_r", "gone", 3]})
    assert draft.preset is None and form.by_name(draft.contents)["lora_r"] == 7 and draft.touched == ("lora_r",)
    FinetuneConfig.build(values_of(form.options, draft.contents))
    assert restored(form, "text").preset == form.first_preset


def test_the_words_under_the_form_open_neither_model_nor_rows(form, monkeypatch):
    for name in ("base_models.BaseModels.config", "finetune_lab.look"):
        monkeypatch.setattr(f"llm_testing.service.{name}", lambda *given, **more: pytest.fail("opened something"))
    draft, _ = after(form, restored(form, None), model_name="/etc", dataset="/etc/passwd")
    said = forecast(form, draft.contents)
    assert said["problems"] == [] and said["kind"] == "fine-tuning" and "finetune" in said["copies"]["cli"]
    said = forecast(form, [0 if name == "batch_size" else c for name, c in form.by_name(draft.contents).items()])
    assert [problem["field"] for problem in said["problems"]] == ["batch_size"] and said["config"] is None


def test_both_forms_have_draft_and_ids_of_their_own(lab, form):
    other = pretraining_form(lab)
    assert other.draft_key != form.draft_key and other.of != form.of


def test_the_list_of_models_stands_by_family_and_says_what_each_is(lab):
    choices = model_choices(lab)
    families = [model.family for _, value in choices if (model := find_model(value))]
    assert families == sorted(families) and len(set(families)) >= 6
    assert ("Qwen2.5-7B-Instruct · 7.6 B", QWEN) in [(label.rsplit(" · ", 1)[0], value) for label, value in choices]
    assert not any(label.startswith("Your ") for label, _ in choices), "nothing was trained here"
