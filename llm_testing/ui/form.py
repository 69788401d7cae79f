"""A form for the next run of one kind: presets, a control for every option, what the draft means, and Start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import gradio as gr

from llm_testing.config.option import Option
from llm_testing.errors import ConfigError
from llm_testing.ui.draft import Draft, Form, edited, forecast, preset_contents, problems_shown, restored
from llm_testing.ui.fields import ONLY_WITH, control, depending, is_on, values_of
from llm_testing.ui.filling import hidden_buttons, wire_filling
from llm_testing.ui.messages import note, tells_user
from llm_testing.ui.parts import COMMAND, QUIET, WAKE, drawn_by_script, id_of

DRAFT_SECRET = "llm-testing"
"""Fixed, so that a draft outlives a restart; it only keeps the text unreadable at a glance."""


@dataclass(frozen=True)
class FormParts:
    """The elements of a form on the page."""

    form: Form
    draft: gr.BrowserState
    preset: gr.Radio
    controls: Mapping[str, gr.components.Component]
    summary: gr.HTML
    starters: Mapping[gr.Button, bool]
    hidden: Mapping[str, gr.Button]

    @property
    def every(self) -> list[gr.components.Component]:
        return list(self.controls.values())

    @property
    def whole(self) -> list[gr.components.Component]:
        """What `shows` gives updates for."""
        return [self.preset, *self.every, self.summary, self.draft]

    def shows(self, draft: Draft) -> list[Any]:
        """Updates that put a draft into the form."""
        said = forecast(self.form, draft.contents)
        return [self.preset_update(draft.preset), *self.updates(draft.contents), said, draft.kept(self.form)]

    def preset_update(self, name: str | None) -> Any:
        return gr.update(value=name, info=about(self.form, name))

    def updates(self, contents: Sequence[Any]) -> list[Any]:
        """Contents for all controls, with those switched off that mean nothing beside the others."""
        by_name = self.form.by_name(contents)
        beside: dict[str, dict[str, Any]] = {name: {"interactive": is_on(name, by_name)} for name in depending(by_name)}
        return [gr.update(value=content, **beside.get(name, {})) for name, content in by_name.items()]


def draft_of(form: Form) -> gr.BrowserState:
    """Where the browser keeps a form's draft; outside of the tabs, as what is in an unopened one is not read."""
    return gr.BrowserState(storage_key=form.draft_key, secret=DRAFT_SECRET)


def form_column(page: gr.Blocks, form: Form, draft: gr.BrowserState) -> FormParts:
    """Lay out a form inside a column, and wire it to the service."""
    contents = form.by_name(preset_contents(form, form.first_preset))
    preset = gr.Radio(
        [(preset.title, name) for name, preset in form.presets.items()], value=form.first_preset, label="Preset",
        info=about(form, form.first_preset), elem_id=id_of("preset", form.of), elem_classes="lt-wide",
    )  # fmt: skip
    controls = _controls(form, contents)
    summary = drawn_by_script("summary", forecast(form, list(contents.values())), form.of)
    with gr.Row(elem_classes="lt-start"):
        # Off until the draft is back: before that the form's numbers are not what it is going to show.
        start = gr.Button("Start", variant="primary", elem_id=id_of("start", form.of), elem_classes="lt-start-now",
                          interactive=False)  # fmt: skip
        enqueue = gr.Button("Add to queue", elem_id=id_of("enqueue", form.of), elem_classes="lt-enqueue",
                            interactive=False)  # fmt: skip
        hidden = hidden_buttons(form)
    parts = FormParts(form, draft, preset, controls, summary, {start: False, enqueue: True}, hidden)
    _wire(page, parts)
    wire_filling(parts)
    return parts


def about(form: Form, preset: str | None) -> str:
    """What a preset is good for; None is a draft that belongs to none."""
    return form.presets[preset].about if preset in form.presets else "Values of your own."


def _controls(form: Form, contents: Mapping[str, Any]) -> dict[str, gr.components.Component]:
    """A control for every option: the basic ones in view, the others folded, group by group."""
    ids = f"{form.of}-option" if form.of else "option"

    def of_level(level: str) -> list[tuple[str, Option]]:
        return [(name, option) for name, option in form.options.items() if option.show.level == level]

    made = {name: control(option, contents[name], ids) for name, option in of_level("basic")}
    with gr.Accordion("Advanced", open=False, elem_id=id_of("advanced", form.of), elem_classes="lt-advanced"):
        folded = sorted(of_level("advanced"), key=_in_order_of_groups(form))
        for group, members in groupby(folded, lambda pair: pair[1].show.group):
            gr.Markdown(f"#### {group}", elem_classes="lt-group")
            made |= {name: control(option, contents[name], ids) for name, option in members}
    for name in depending(made):
        made[name].interactive = is_on(name, contents)
    return {name: made[name] for name in form.options}


def _in_order_of_groups(form: Form) -> Any:
    """Sorts options so that each group stands together, in the order in which the groups first come."""
    groups = list(dict.fromkeys(option.show.group for option in form.options.values()))
    return lambda pair: groups.index(pair[1].show.group)


def _wire(page: gr.Blocks, parts: FormParts) -> None:
    form, every = parts.form, parts.every
    switched = [parts.controls[name] for name in depending(parts.controls)]

    def on_load(kept: Any) -> list[Any]:
        draft = restored(form, kept)
        ready = [gr.update(interactive=True) for _ in parts.starters]
        updates = dict(zip(form.options, parts.updates(draft.contents), strict=True))
        updates |= {name: {**updates[name], "choices": offered()} for name, offered in form.choices.items()}
        said = forecast(form, draft.contents)
        return [parts.preset_update(draft.preset), *updates.values(), said, *ready]

    def on_preset(name: str, *contents: Any) -> list[Any]:
        return parts.shows(Draft(name, preset_contents(form, name, contents)))

    def on_edit(name: str, kept: Any, *contents: Any) -> list[Any]:
        draft, filled = edited(form, name, contents, kept)
        updates = [gr.update(value=filled[follower]) if follower in filled else gr.skip() for follower in form.filled]
        return [forecast(form, draft.contents), draft.kept(form), *updates]

    def on_switch(*contents: Any) -> list[Any]:
        by_name = form.by_name(contents)
        return [gr.update(interactive=is_on(name, by_name)) for name in depending(by_name)]

    page.load(on_load, parts.draft, [parts.preset, *every, parts.summary, *parts.starters], **QUIET)
    parts.preset.input(on_preset, [parts.preset, *every], parts.whole, **QUIET)
    # `input` is the user's own hand alone: with `change` a preset's values would trigger every control again.
    # A text box does not tell of text that was pasted or dropped in, until it is left.
    edits = [component.input for component in every]
    edits += [component.blur for component in every if isinstance(component, gr.Textbox)]
    edits.append(parts.hidden["edited"].click)
    said = [parts.summary, parts.draft, *(parts.controls[name] for name in form.filled)]
    gr.on(edits, on_edit, [parts.preset, parts.draft, *every], said, trigger_mode="always_last", **QUIET)
    deciding = {ONLY_WITH[name][0] for name in depending(parts.controls)}
    gr.on([parts.controls[name].input for name in sorted(deciding)], on_switch, every, switched, **QUIET)
    for button, queue in parts.starters.items():
        begun = button.click(_starter(form, queue), every, parts.summary, **COMMAND)
        begun.then(None, js=WAKE)


def _starter(form: Form, queue: bool) -> Any:
    """The handler of Start, or of Add to queue."""

    @tells_user
    def on_start(*contents: Any) -> dict[str, Any]:
        before = forecast(form, contents)
        if before["problems"]:
            return before | {"ask": True}
        try:
            started = form.start(values_of(form.options, contents), queue=queue)
        except ConfigError as error:
            return before | {"problems": problems_shown(form.options, error.problems), "ask": True}
        note("The run has started." if started.position is None else f"Queued: number {started.position} in line.")
        return before

    return on_start
