"""The draft of the next run: what a form remembers in the browser, and what it says about it before Start."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_testing.config.option import Option
from llm_testing.config.presets import Preset
from llm_testing.errors import Problem
from llm_testing.service.copies import copies
from llm_testing.service.views import Started
from llm_testing.ui.fields import empty_but_needed, shown, values_of


@dataclass(frozen=True)
class Form:
    """The form of one kind of run, over the part of the service that starts it.

    Args:
        kind: as addresses of REST calls name it.
        of: begins the ids of its elements, where there is more than one form.
        draft_key: where the browser keeps its draft.
        presets: by name, the first of them shown to a new visitor.
        preset_values: what a preset sets, given what stays of the draft.
        stays: options that a preset leaves as they are.
        follows: what choosing a value of some options fills in for others, as option values by name.
        filled: the options that may be filled in so.
        choices: label and value of what some options offer now.
        forked: the options of a new run from a checkpoint, by the checkpoint's id.
        preview, start: of the service.
        facts: label and value of each figure that follows from a draft.
        beside: what else the page's script is told of a draft.
    """

    kind: str
    of: str
    draft_key: str
    options: Mapping[str, Option]
    presets: Mapping[str, Preset]
    preset_values: Callable[[str, dict[str, Any]], dict[str, Any]]
    stays: Callable[[str], Sequence[str]]
    forked: Callable[[str], dict[str, Any]]
    preview: Callable[[dict[str, Any]], Any]
    start: Callable[..., Started]
    facts: Callable[[Any], list[list[str]]]
    beside: Callable[[Any], dict[str, Any]] = lambda preview: {}
    follows: Mapping[str, Callable[[Any], dict[str, Any]]] = field(default_factory=dict)
    filled: tuple[str, ...] = ()
    choices: Mapping[str, Callable[[], list[tuple[str, str]]]] = field(default_factory=dict)

    @property
    def first_preset(self) -> str:
        return next(iter(self.presets))

    def contents(self, values: Mapping[str, Any]) -> list[Any]:
        """What every control shows for some values, in the options' order; the others show their defaults."""
        return [shown(option, values.get(name, option.default)) for name, option in self.options.items()]

    def by_name(self, contents: Sequence[Any]) -> dict[str, Any]:
        """Contents of all controls by the names of their options."""
        return dict(zip(self.options, contents, strict=True))


def preset_contents(form: Form, preset: str, contents: Sequence[Any] | None = None) -> list[Any]:
    """What every control shows under a preset, in the options' order.

    Args:
        contents: of the draft so far, of which some stay; None where there is none.
    """
    staying = form.stays(preset) if contents is not None else ()
    values = {} if contents is None else values_of(form.options, contents)
    kept_values = {name: values[name] for name in staying if name in values}
    filled = form.preset_values(preset, kept_values)
    return form.contents({**filled, **kept_values})


@dataclass(frozen=True)
class Draft:
    """A draft as a form shows and the browser keeps it.

    Args:
        preset: None for one that belongs to none.
        touched: options that the user's own hand has set since the preset.
    """

    preset: str | None
    contents: list[Any]
    touched: tuple[str, ...] = ()

    def kept(self, form: Form) -> dict[str, Any]:
        """For the browser."""
        return {"preset": self.preset, "contents": form.by_name(self.contents), "touched": list(self.touched)}


def restored(form: Form, kept: Any) -> Draft:
    """A kept draft; what it lacks, as it is of an older version, comes from the first preset."""
    contents = preset_contents(form, form.first_preset)
    if not isinstance(kept, dict) or not isinstance(kept.get("contents"), dict):
        return Draft(form.first_preset, contents)
    preset = kept.get("preset") if kept.get("preset") in form.presets else None
    now = [kept["contents"].get(name, content) for name, content in zip(form.options, contents, strict=True)]
    return Draft(preset, now, _names(form, kept.get("touched")))


def edited(form: Form, preset: str | None, contents: Sequence[Any], kept: Any) -> tuple[Draft, dict[str, Any]]:
    """The draft after an edit, and what the edit fills in: contents by name, never over what a hand has set.

    Args:
        kept: the draft before, as the browser keeps it.
    """
    now = form.by_name(contents)
    before = restored(form, kept)
    changed = [name for name, content in form.by_name(before.contents).items() if content != now[name]]
    touched = tuple(dict.fromkeys((*before.touched, *changed)))
    wanted: dict[str, Any] = {}
    for name in changed:
        if name in form.follows:
            wanted |= form.follows[name](now[name])
    filled = {name: shown(form.options[name], value) for name, value in wanted.items() if name not in touched}
    return Draft(preset, list({**now, **filled}.values()), touched), filled


def _names(form: Form, value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if name in form.options) if isinstance(value, list) else ()


def forecast(form: Form, contents: Sequence[Any]) -> dict[str, Any]:
    """What the form says under the controls: facts about the run, or every problem at its field."""
    preview = form.preview(values_of(form.options, contents))
    missing = [
        Problem(name, f"{form.options[name].show.title} takes {form.options[name].accepts()}; it is empty.")
        for name in empty_but_needed(form.options, contents)
    ]
    return {
        "kind": form.kind,
        "problems": problems_shown(form.options, [*preview.problems, *missing]),
        "facts": form.facts(preview) if preview.config else [],
        "warnings": list(preview.resolved.warnings) if preview.resolved else [],
        "config": preview.config.model_dump(mode="json") if preview.config else None,
        **form.beside(preview),
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
