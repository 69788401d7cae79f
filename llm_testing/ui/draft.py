"""The draft of the next run: what the form remembers in the browser, and what it says about it before Start."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_testing.config.option import Option
from llm_testing.config.presets import PRESETS
from llm_testing.errors import Problem
from llm_testing.service.copies import copies
from llm_testing.service.lab import Lab
from llm_testing.service.views import Preview
from llm_testing.ui.fields import empty_but_needed, shown, values_of
from llm_testing.ui.numbers import count, duration, gib

FIRST_PRESET = "recommended"
LATER = "once the corpus is read"
FIRST_TIME = "after the first steps"


def preset_contents(lab: Lab, options: Mapping[str, Option], preset: str, name: str = "") -> list[Any]:
    """What every control shows under a preset, in the options' order; the run's name is the user's own."""
    values = {**lab.preset_values(preset), "name": name}
    return [shown(option, values.get(name, option.default)) for name, option in options.items()]


def fork_contents(lab: Lab, options: Mapping[str, Option], checkpoint_id: str) -> list[Any]:
    """What every control shows for a new run from a checkpoint: its run's own options, under another name.

    Raises:
        BadRunId, NotFound: where there is no such checkpoint.
    """
    row = lab.checkpoint(checkpoint_id)
    config = lab.details(row.run_id)["config"]
    values = {**config, "resume_from": row.id, "name": f"{row.run_name or row.run_id}, forked"[:80]}
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
        "warnings": list(preview.resolved.warnings) if preview.resolved else [],
        "config": preview.config.model_dump(mode="json") if preview.config else None,
        "train_tokens": preview.expected.train_tokens if preview.expected else None,
        "copies": copies(preview.config) if preview.config else None,
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
