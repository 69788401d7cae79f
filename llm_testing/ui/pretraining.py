"""The Pretraining tab: the form of the next run on the left, the live view of the run that there is on the right."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import gradio as gr

from llm_testing.config.option import Option, options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError
from llm_testing.service.lab import Lab
from llm_testing.ui.draft import (
    FIRST_PRESET,
    forecast,
    fork_contents,
    kept,
    preset_contents,
    problems_shown,
    restored,
)
from llm_testing.ui.fields import ONLY_WITH, control, is_on, values_of
from llm_testing.ui.messages import note, tells_user
from llm_testing.ui.parts import drawn_by_script

# Fixed, so that a draft outlives a restart; the secret only keeps the text unreadable at a glance.
DRAFT_KEY, DRAFT_SECRET = "llm-testing-draft-1", "llm-testing"
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
COMMAND: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Commands go through the queue: without it a note for the user would not reach the page."""
SHOWN_FORK = "() => import('/live/static/main.js').then((m) => m.shownFork())"
WAKE = "() => import('/live/static/main.js').then((m) => m.wake())"


def pretraining_tab(page: gr.Blocks, lab: Lab) -> None:
    """Lay out the tab inside `page` and wire it to the service."""
    options = options_of(PretrainConfig)
    contents = dict(zip(options, preset_contents(lab, options, FIRST_PRESET), strict=True))
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="lt-form"):
            draft = gr.BrowserState(storage_key=DRAFT_KEY, secret=DRAFT_SECRET)
            preset = gr.Radio(
                [(preset.title, name) for name, preset in PRESETS.items()], value=FIRST_PRESET, label="Preset",
                info=about(FIRST_PRESET),
                elem_id="lt-preset", elem_classes="lt-wide",
            )  # fmt: skip
            controls = _controls(options, contents)
            summary = drawn_by_script("summary", forecast(lab, options, list(contents.values())))
            with gr.Row(elem_classes="lt-start"):
                # Off until the draft is back: before that the form's numbers are not what it is going to show.
                start = gr.Button("Start", variant="primary", elem_id="lt-start", interactive=False)
                enqueue = gr.Button("Add to queue", elem_id="lt-enqueue", interactive=False)
                # The checkpoint browser presses it: a fork fills the form, whose controls only Gradio can set.
                fork = gr.Button("Fork", elem_id="lt-fork", elem_classes="lt-unseen")
        with gr.Column(scale=7, min_width=320):
            for part in ("views", "live", "playground", "attention", "shelf"):
                drawn_by_script(part)
    _wire(page, lab, options, draft, preset, controls, summary, {start: False, enqueue: True})
    _wire_fork(lab, options, draft, preset, controls, summary, fork)


def _controls(options: Mapping[str, Option], contents: Mapping[str, Any]) -> dict[str, gr.components.Component]:
    """A control for every option: the basic ones in view, the others folded, group by group."""
    made = {name: control(option, contents[name]) for name, option in options.items() if option.show.level == "basic"}
    with gr.Accordion("Advanced", open=False, elem_id="lt-advanced"):
        folded = [(name, option) for name, option in options.items() if option.show.level == "advanced"]
        for group, members in groupby(folded, lambda pair: pair[1].show.group):
            gr.Markdown(f"#### {group}", elem_classes="lt-group")
            made |= {name: control(option, contents[name]) for name, option in members}
    for name in ONLY_WITH:
        made[name].interactive = is_on(name, contents)
    return {name: made[name] for name in options}


def _wire(
    page: gr.Blocks,
    lab: Lab,
    options: Mapping[str, Option],
    draft: gr.BrowserState,
    preset: gr.Radio,
    controls: Mapping[str, gr.components.Component],
    summary: gr.HTML,
    starters: Mapping[gr.Button, bool],
) -> None:
    every = list(controls.values())
    depending = [controls[name] for name in ONLY_WITH]

    def on_load(kept_draft: Any) -> list[Any]:
        name, contents = restored(lab, options, kept_draft)
        ready = [gr.update(interactive=True) for _ in starters]
        return [_preset_update(name), *_as_updates(options, contents), forecast(lab, options, contents), *ready]

    def on_preset(name: str, run_name: str) -> list[Any]:
        contents = preset_contents(lab, options, name, run_name)
        said, draft_now = forecast(lab, options, contents), kept(options, name, contents)
        return [_preset_update(name), *_as_updates(options, contents), said, draft_now]

    def on_edit(name: str, *contents: Any) -> list[Any]:
        return [forecast(lab, options, contents), kept(options, name, contents)]

    def on_switch(*contents: Any) -> list[Any]:
        by_name = dict(zip(options, contents, strict=True))
        return [gr.update(interactive=is_on(name, by_name)) for name in ONLY_WITH]

    page.load(on_load, draft, [preset, *every, summary, *starters], **QUIET)
    preset.input(on_preset, [preset, controls["name"]], [preset, *every, summary, draft], **QUIET)
    # `input` is the user's own hand alone: with `change` a preset's values would trigger every control again.
    # A text box does not tell of text that was pasted or dropped in, until it is left.
    edits = [component.input for component in every]
    edits += [component.blur for component in every if isinstance(component, gr.Textbox)]
    gr.on(edits, on_edit, [preset, *every], [summary, draft], trigger_mode="always_last", **QUIET)
    deciding = {other for other, _ in ONLY_WITH.values()}
    gr.on([controls[name].input for name in sorted(deciding)], on_switch, every, depending, **QUIET)
    for button, queue in starters.items():
        begun = button.click(_starter(lab, options, queue), every, summary, **COMMAND)
        begun.then(None, js=WAKE)


def _wire_fork(
    lab: Lab,
    options: Mapping[str, Option],
    draft: gr.BrowserState,
    preset: gr.Radio,
    controls: Mapping[str, gr.components.Component],
    summary: gr.HTML,
    fork: gr.Button,
) -> None:
    checkpoint = gr.Textbox(visible=False)

    @tells_user
    def on_fork(checkpoint_id: str) -> list[Any]:
        contents = fork_contents(lab, options, checkpoint_id)
        said, draft_now = forecast(lab, options, contents), kept(options, None, contents)
        note("The form holds a new run that starts from this checkpoint. Change what you like, then press Start.")
        return [_preset_update(None), *_as_updates(options, contents), said, draft_now]

    fork.click(on_fork, checkpoint, [preset, *controls.values(), summary, draft], js=SHOWN_FORK, **COMMAND)


def _starter(lab: Lab, options: Mapping[str, Option], queue: bool) -> Any:
    """The handler of Start, or of Add to queue."""

    @tells_user
    def on_start(*contents: Any) -> dict[str, Any]:
        before = forecast(lab, options, contents)
        if before["problems"]:
            return before | {"ask": True}
        try:
            started = lab.start(values_of(options, contents), queue=queue)
        except ConfigError as error:
            return before | {"problems": problems_shown(options, error.problems), "ask": True}
        note("The run has started." if started.position is None else f"Queued: number {started.position} in line.")
        return before

    return on_start


def about(preset: str | None) -> str:
    """What a preset is good for; None is a draft that belongs to none."""
    return PRESETS[preset].about if preset in PRESETS else "Values of your own."


def _preset_update(name: str | None) -> Any:
    return gr.update(value=name, info=about(name))


def _as_updates(options: Mapping[str, Option], contents: list[Any]) -> list[Any]:
    """Contents for all controls, with those switched off that mean nothing beside the others."""
    by_name = dict(zip(options, contents, strict=True))
    return [
        gr.update(value=content, interactive=is_on(name, by_name)) if name in ONLY_WITH else gr.update(value=content)
        for name, content in by_name.items()
    ]
