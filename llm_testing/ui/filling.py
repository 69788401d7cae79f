"""What fills a form besides its user's hand: a fork, another run's settings, an upload that has come.

Only Gradio can set its controls, so the page's script presses a hidden button, whose handler asks it what is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from llm_testing.ui.draft import Draft, Form, edited, forecast, preset_contents
from llm_testing.ui.fields import shown
from llm_testing.ui.messages import note, tells_user
from llm_testing.ui.parts import COMMAND, QUIET, id_of

if TYPE_CHECKING:
    from llm_testing.ui.form import FormParts

FORKED = "The form holds a new run that starts from this checkpoint. Change what you like, then press Start."
TAKEN_OVER = "The form holds the settings of this run. Change what you like, then press Start."
SHOWN_FORK = "() => import('/live/static/main.js').then((m) => m.shownFork())"
WANTED_VALUES = "(...given) => import('/live/static/main.js').then((m) => [m.wantedValues(), ...given.slice(1)])"


def filling_buttons(form: Form) -> tuple[gr.Button, gr.Button]:
    """The hidden buttons of `wire_filling`."""
    fork, put = (gr.Button(name, elem_id=id_of(name, form.of), elem_classes="lt-unseen") for name in ("fork", "put"))
    return fork, put


def wire_filling(parts: FormParts, buttons: tuple[gr.Button, gr.Button]) -> None:
    """Have the script fill the whole form, or put values into some of its fields."""
    fork, put = buttons
    _wire_fork(parts, fork)
    _wire_put(parts, put)


def _wire_fork(parts: FormParts, fork: gr.Button) -> None:
    checkpoint, changes = gr.Textbox(visible=False), gr.JSON(visible=False)

    @tells_user
    def on_fork(checkpoint_id: str, changed: dict[str, Any] | None) -> list[Any]:
        values = {**(parts.form.forked(checkpoint_id) if checkpoint_id else {}), **(changed or {})}
        note(FORKED if checkpoint_id else TAKEN_OVER)
        return parts.shows(Draft(None, parts.form.contents(values)))

    fork.click(on_fork, [checkpoint, changes], parts.whole, js=SHOWN_FORK, **COMMAND)


def _wire_put(parts: FormParts, put: gr.Button) -> None:
    """What the page's script puts into a field, as if a hand had: an upload that has come."""
    form, wanted = parts.form, gr.JSON(visible=False)

    def on_put(given: dict[str, Any], preset: str, kept: Any, *contents: Any) -> list[Any]:
        at_first = form.by_name(preset_contents(form, form.first_preset))
        put_in = {
            name: at_first[name] if value is None else shown(form.options[name], value)
            for name, value in given.items()
            if name in form.options
        }
        now = form.by_name(contents) | put_in
        draft, _ = edited(form, preset, list(now.values()), kept)
        updates = [_put_update(form, name, now[name]) if name in put_in else gr.skip() for name in form.options]
        return [*updates, forecast(form, draft.contents), draft.kept(form)]

    inputs = [wanted, parts.preset, parts.draft, *parts.every]
    put.click(on_put, inputs, [*parts.every, parts.summary, parts.draft], js=WANTED_VALUES, **QUIET)


def _put_update(form: Form, name: str, content: Any) -> Any:
    offered = {"choices": form.choices[name]()} if name in form.choices else {}
    return gr.update(value=content, **offered)
