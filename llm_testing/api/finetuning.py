"""Starting, previewing and resuming fine-tuning runs, and looking at models and rows, as REST calls."""

from dataclasses import asdict, dataclass
from typing import Any

from llm_testing.api.calls import Asked, Call
from llm_testing.api.commands import commands_at, meant, names_on_resume, resume_foreseen, started
from llm_testing.api.earlier import TuningStatus
from llm_testing.api.tuning_bodies import ExamplesRequest, PresetsQuery, TuneResumeRequest, TuneStartRequest
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.service.adapters import is_adapter_path
from llm_testing.service.copies import copies
from llm_testing.service.names import check_names
from llm_testing.service.roles import check
from llm_testing.store.ids import checkpoint_id

AT = "/api/fine-tuning"
KIND = "finetune"
_HOW = ("preset", "queue", "request_id", "force")


@dataclass(frozen=True)
class ModelRow:
    """An open model that is offered by name."""

    name: str
    hf_id: str
    family: str
    params_billion: float
    recommended_max_seq: int
    recommended_lora_r: int
    tags: list[str]


def models(asked: Asked) -> list[ModelRow]:
    """The open models that are offered by name, with the length and rank that suit each."""
    return [
        ModelRow(m.name, m.hf_id, m.family, m.params_billion, m.recommended_max_seq, m.recommended_lora_r, list(m.tags))
        for m in asked.lab.finetuning.models()
    ]


def start(asked: Asked) -> dict[str, Any]:
    """Start a fine-tuning run; while another run is active it is refused, or waits in the queue."""
    values, how = _draft(asked)
    return started(asked, asked.lab.finetuning.start(values, **how))


def preview(asked: Asked) -> dict[str, Any]:
    """What a body of start would do, without starting anything; problems are part of the answer."""
    values, how = _draft(asked)
    seen = asked.lab.finetuning.preview(values, how.get("preset"))
    resolved = seen.resolved
    return {
        "problems": seen.problems,
        "config": seen.config and seen.config.model_dump(mode="json"),
        "resolved": resolved,
        "recommended": seen.recommended,
        "effective_batch": resolved and resolved.effective_batch,
        "num_parameters": seen.num_parameters,
        "num_trainable": seen.num_trainable,
        "sentences": seen.sentences,
        "copies": seen.config and copies(seen.config),
    }


def examples(asked: Asked) -> dict[str, Any]:
    """A draft's rows as its model would see them, token by token, trained or not, and the rows that cannot be used."""
    values, how = _draft(asked)
    num_shown = values.pop("num_shown", asked.body.num_shown)
    view = asked.lab.finetuning.view_examples(values, how.get("preset"), num_shown)
    return {
        **{name: getattr(view, name) for name in view.__dataclass_fields__},
        "problems": [{"where": problem.where, "message": str(problem)} for problem in view.problems],
    }


def resume(asked: Asked) -> dict[str, Any]:
    """Let the paused run go on; with a run_id resume any run that has ended, and with more steps extend it."""
    changes = asked.given()
    run_id = meant(asked, changes.pop("run_id", None))
    return started(asked, asked.lab.resume(run_id, changes or None))


def preview_resume(asked: Asked) -> dict[str, Any]:
    """What resuming a run with these changes would do, in sentences, or why it would be refused; starts nothing."""
    return resume_foreseen(asked)


def options(asked: Asked) -> dict[str, Any]:
    """Every option of a fine-tuning run: its meaning, default, range and unit."""
    return {"options": [{**asdict(o), "accepts": o.accepts()} for o in options_of(FinetuneConfig).values()]}


def presets(asked: Asked) -> dict[str, Any]:
    """What each preset sets on this machine for a model; absent means the preset's own or the default."""
    given = {"model_name": asked.query.model_name} if asked.query.model_name else {}
    return {
        "presets": {
            name: {
                "title": preset.title,
                "about": preset.about,
                "values": asked.lab.finetuning.preset_values(name, given),
            }
            for name, preset in FINETUNE_PRESETS.items()
        }
    }


def _draft(asked: Asked) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that a body gives, and how to start; whoever asks may name what it names."""
    values = asked.given()
    how = {name: values.pop(name) for name in _HOW if name in values}
    check_names(asked.request, values)
    if values.get("resume_from"):
        if is_adapter_path(values["resume_from"]):
            check(asked.request, "paths")
        values["resume_from"] = checkpoint_id(*asked.lab.finetuning.adapters.find(values["resume_from"]))
    return values, how


TUNING = (
    Call("GET", f"{AT}/models", "look", models, named="finetune_models", answer=list[ModelRow], kind=KIND),
    Call(
        "POST",
        f"{AT}/start",
        "start",
        start,
        named="finetune_start",
        body=TuneStartRequest,
        answer=TuningStatus,
        kind=KIND,
    ),
    Call("POST", f"{AT}/preview", "look", preview, named="finetune_preview", body=TuneStartRequest, kind=KIND),
    Call(
        "POST",
        f"{AT}/examples",
        "start",
        examples,
        named="finetune_examples",
        body=ExamplesRequest,
        alone=True,
        kind=KIND,
    ),
    Call(
        "POST",
        f"{AT}/resume",
        "start",
        resume,
        named="finetune_resume",
        body=TuneResumeRequest,
        answer=TuningStatus,
        names=lambda: names_on_resume(TuneResumeRequest),
        kind=KIND,
    ),
    Call(
        "POST",
        f"{AT}/resume/preview",
        "look",
        preview_resume,
        body=TuneResumeRequest,
        names=lambda: names_on_resume(TuneResumeRequest),
        kind=KIND,
    ),
    Call("GET", f"{AT}/options", "look", options, named="finetune_options", kind=KIND),
    Call("GET", f"{AT}/presets", "look", presets, named="finetune_presets", query=PresetsQuery, kind=KIND),
    *commands_at(AT, KIND, "finetune_"),
)
