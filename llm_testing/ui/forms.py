"""The two forms: what each takes from the configs, the presets and the service."""

from collections.abc import Callable
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Options, options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.service.lab import Lab
from llm_testing.service.views import Preview
from llm_testing.ui.draft import Form
from llm_testing.ui.numbers import count, duration, gib

TUNE = "tune"
_RUNS = {"pretrain": "model", "finetune": "tuned model"}
LATER = "once the corpus is read"
ROWS_LATER = "once the rows are read"
FIRST_TIME = "after the first steps"
_CHOSEN = ("model_name", "dataset", "dataset_config", "dataset_split", "data_format", "columns", "chat_template",
           "system_prompt", "n_examples")  # fmt: skip
"""What to tune on what: the recommended settings suit it, and leave it as it is."""


def pretraining_form(lab: Lab) -> Form:
    """The form of the next pretraining run."""
    return Form(
        kind="pretraining",
        of="",
        draft_key="llm-testing-draft-1",
        options=options_of(PretrainConfig),
        presets=PRESETS,
        preset_values=lambda preset, kept: lab.preset_values(preset),
        stays=lambda preset: ("name",),
        forked=lambda checkpoint_id: forked(lab, checkpoint_id),
        preview=lab.preview,
        start=lab.start,
        facts=pretraining_facts,
        beside=lambda preview: {"train_tokens": preview.expected and preview.expected.train_tokens},
        choices={name: texts_offered(lab, PretrainConfig, name) for name in ("corpus", "val_corpus")},
    )


def finetuning_form(lab: Lab) -> Form:
    """The form of the next fine-tuning run."""
    persona_first = dict(sorted(FINETUNE_PRESETS.items(), key=lambda preset: preset[0] != "persona"))
    return Form(
        kind="fine-tuning",
        of=TUNE,
        draft_key="llm-testing-tuning-draft-1",
        options=options_of(FinetuneConfig),
        presets=persona_first,
        preset_values=lab.finetuning.preset_values,
        stays=lambda preset: ("name",) if preset == "persona" else ("name", *_CHOSEN),
        forked=lambda checkpoint_id: forked(lab, checkpoint_id),
        preview=lambda values: lab.finetuning.preview(values, count_parameters=False),
        start=lab.finetuning.start,
        facts=finetuning_facts,
        follows={"model_name": lab.finetuning.recommended},
        filled=("max_seq_length", "lora_r", "lora_alpha"),
        choices={"model_name": lambda: model_choices(lab), "dataset": texts_offered(lab, FinetuneConfig, "dataset")},
    )


def texts_offered(lab: Lab, config: type[Options], name: str) -> Callable[[], list[str]]:
    """What is offered where a text or dataset is named: what always is, and the files that were brought here."""
    always = options_of(config)[name].show.suggestions
    return lambda: [*always, *(upload.name for upload in lab.uploads.all())]


def model_choices(lab: Lab) -> list[tuple[str, str]]:
    """What can be tuned, with size and tags: what is on this machine first, then the list, family by family."""
    own = [row for row in lab.rows() if row.usable and row.resumable_step is not None]
    runs = [
        (f"Your {_RUNS.get(row.kind, 'run')} · {row.name} · {count(row.num_parameters)}", row.run_id) for row in own
    ]
    packages = [
        (f"{hub_id.rpartition('/')[2]} · in a package", name) for name, hub_id in lab.finetuning.packages().items()
    ]
    known = [
        (f"{model.name} · {_size(model.num_parameters)} · {', '.join(model.tags)}", model.hf_id)
        for model in sorted(lab.finetuning.models(), key=lambda model: model.family)
    ]
    return runs + packages + known


def _size(num_parameters: int) -> str:
    """As models are spoken of: 7.6 B, 135 M."""
    return f"{num_parameters / 1e9:.1f} B" if num_parameters >= 0.95e9 else count(num_parameters)


def forked(lab: Lab, checkpoint_id: str) -> dict[str, Any]:
    """The options of a new run from a checkpoint: its run's own, under another name.

    Raises:
        BadRunId, NotFound: where there is no such checkpoint.
    """
    row = lab.checkpoint(checkpoint_id)
    config = lab.details(row.run_id)["config"]
    return {**config, "resume_from": row.id, "name": f"{row.run_name or row.run_id}, forked"[:80]}


def pretraining_facts(preview: Preview) -> list[list[str]]:
    """Label and value of each figure that follows from a pretraining draft."""
    resolved, config, ahead = preview.resolved, preview.config, preview.expected
    if resolved is None or config is None or ahead is None:
        return []
    accumulated = f" = {config.batch_size} × {config.grad_accum_steps}" if config.grad_accum_steps > 1 else ""
    about = "about " if ahead.before_reading else ""
    roughly = "about " if ahead.seen_alike else "very roughly "
    return [
        ["Parameters", ("about " if resolved.before_reading else "") + count(resolved.num_parameters)],
        ["Effective batch", f"{resolved.effective_batch:,}{accumulated} sequences"],
        ["Tokens a step", count(resolved.tokens_per_step)],
        ["Steps", LATER if ahead.steps is None else ("" if config.max_steps else about) + f"{ahead.steps:,}"],
        ["Tokens", LATER if ahead.tokens is None else about + count(ahead.tokens)],
        ["Time", FIRST_TIME if ahead.seconds is None else roughly + duration(ahead.seconds)],
        ["A checkpoint", gib(ahead.checkpoint_bytes)],
    ]


def finetuning_facts(preview: Any) -> list[list[str]]:
    """Label and value of each figure that follows from a fine-tuning draft; those of its model come with the memory."""
    resolved, config = preview.resolved, preview.config
    if resolved is None or config is None:
        return []
    split = f" = {config.batch_size} × {config.gradient_accumulation}" if config.gradient_accumulation > 1 else ""
    steps, tokens = resolved.total_steps, resolved.total_tokens
    return [
        ["Effective batch", f"{resolved.effective_batch:,}{split} sequences"],
        ["Steps", ROWS_LATER if steps is None else f"{steps:,}"],
        ["Tokens", ROWS_LATER if tokens is None else f"about {count(tokens)}"],
        ["Time", FIRST_TIME if preview.seconds is None else "about " + duration(preview.seconds)],
    ]
