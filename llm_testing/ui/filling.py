"""What fills a form besides its user's hand: a fork, another run's settings, an upload that has come.

Only Gradio can set its controls, so the page's script presses a hidden button, whose handler asks it what is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from llm_testing.ui.draft import Draft, Form, preset_contents
from llm_testing.ui.fields import shown
from llm_testing.ui.messages import note, tells_user
from llm_testing.ui.parts import COMMAND, QUIET, id_of

if TYPE_CHECKING:
    from llm_testing.ui.form import FormParts

FORKED = "The form holds a new run that starts from this checkpoint. Change what you like, then press Start."
TAKEN_OVER = "The form holds the settings of this run. Change what you like, then press Start."
SHOWN_FORK = "() => import('/live/static/main.js').then((m) => m.shownFork())"
WANTED_VALUES = "() => import('/live/static/main.js').then((m) => m.wantedValues())"


def hidden_buttons(form: Form) -> dict[str, gr.Button]:
    """fork fills the whole form and put some of its fields; edited is an edit that no field tells of."""
    names = ("fork", "put", "edited")
    return {name: gr.Button(name, elem_id=id_of(name, form.of), elem_classes="lt-unseen") for name in names}


def wire_filling(parts: FormParts) -> None:
    """Have the script fill the whole form, or put values into some of its fields."""
    _wire_fork(parts, parts.hidden["fork"])
    _wire_put(parts, parts.hidden["put"])


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

    def on_put(given: dict[str, Any]) -> list[Any]:
        at_first = form.by_name(preset_contents(form, form.first_preset))
        return [
            _put_update(form, name, at_first[name] if given[name] is None else shown(option, given[name]))
            if name in given
            else gr.skip()
            for name, option in form.options.items()
        ]

    # Then an edit like any other: of edits the last one counts, also where an earlier one is answered late.
    tell = f"() => document.getElementById('{id_of('edited', form.of)}').click()"
    put.click(on_put, wanted, parts.every, js=WANTED_VALUES, **QUIET).then(None, js=tell)


def _put_update(form: Form, name: str, content: Any) -> Any:
    offered = {"choices": form.choices[name]()} if name in form.choices else {}
    return gr.update(value=content, **offered)
