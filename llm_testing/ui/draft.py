"""The draft of the next run: what the form remembers in the browser, and what it says about it before Start."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_testing.config.option import Option
from llm_testing.config.presets import PRESETS
from llm_testing.errors import Problem
from llm_testing.service.lab import Lab
from llm_testing.service.views import Preview
from llm_testing.ui.fields import empty_but_needed, shown, values_of
from llm_testing.ui.numbers import count

FIRST_PRESET = "recommended"


def preset_contents(lab: Lab, options: Mapping[str, Option], preset: str, name: str = "") -> list[Any]:
    """What every control shows under a preset, in the options' order; the run's name is the user's own."""
    values = {**lab.preset_values(preset), "name": name}
    return [shown(option, values.get(name, option.default)) for name, option in options.items()]


def kept(options: Mapping[str, Option], preset: str | None, contents: Sequence[Any]) -> dict[str, Any]:
    """The draft as the browser keeps it."""
    return {"preset": preset, "contents": dict(zip(options, contents, strict=True))}


def restored(lab: Lab, options: Mapping[str, Option], draft: Any) -> tuple[str | None, list[Any]]:
    """Preset and contents of a kept draft; what it lacks, as it is of an older version, comes from the first preset."""
    contents = preset_contents(lab, options, FIRST_PRESET)
    if not isinstance(draft, dict) or not isinstance(draft.get("contents"), dict):
        return FIRST_PRESET, contents
    preset = draft.get("preset") if draft.get("preset") in PRESETS else None
    return preset, [draft["contents"].get(name, content) for name, content in zip(options, contents, strict=True)]


def forecast(lab: Lab, options: Mapping[str, Option], contents: Sequence[Any]) -> dict[str, Any]:
    """What the form says under the controls: facts about the run, or every problem at its field."""
    preview = lab.preview(values_of(options, contents))
    missing = [
        Problem(name, f"{options[name].show.title} takes {options[name].accepts()}; it is empty.")
        for name in empty_but_needed(options, contents)
    ]
    return {
        "problems": problems_shown(options, [*preview.problems, *missing]),
        "facts": facts(preview),
        "sentences": list(preview.sentences),
    }


def problems_shown(options: Mapping[str, Option], problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Problems with the title that the form knows a field by."""
    return [
        {
            "field": problem.field,
            "title": options[problem.field].show.title if problem.field in options else "",
            "message": problem.message,
        }
        for problem in problems
    ]


def facts(preview: Preview) -> list[list[str]]:
    """Label and value of each figure that follows from the draft."""
    resolved, config = preview.resolved, preview.config
    if resolved is None or config is None:
        return []
    later = "once the corpus is read"
    accumulated = f" = {config.batch_size} × {config.grad_accum_steps}" if config.grad_accum_steps > 1 else ""
    return [
        ["Parameters", count(resolved.num_parameters) + (" (before reading)" if resolved.before_reading else "")],
        ["Effective batch", f"{resolved.effective_batch:,}{accumulated} sequences"],
        ["Tokens a step", count(resolved.tokens_per_step)],
        ["Steps", later if resolved.total_steps is None else f"{resolved.total_steps:,}"],
        ["Tokens", later if resolved.total_tokens is None else count(resolved.total_tokens)],
    ]
