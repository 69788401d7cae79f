"""What stands above the tabs: title and machine, the run that is on, and the buttons that command it.

Which buttons are in view follows the run's state, which the page's script writes on the document; whether a command
fits is decided by the service alone.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from llm_testing.service.lab import Lab
from llm_testing.ui.messages import note, tells_user
from llm_testing.ui.parts import COMMAND, WAKE, drawn_by_script

SHOWN_RUN = "() => import('/live/static/main.js').then((m) => m.shownRun())"
"""Commands name the run that the user sees, so that a stale tab can never stop another one."""
ASK = "() => import('/live/static/main.js').then((m) => m.ask('stop'))"
DONE_ASKING = "() => import('/live/static/main.js').then((m) => m.ask(''))"

STOP_WORDS = (
    "<p>Stop this run? Saved, it can be resumed later from where it is. "
    "Discarding drops what this session has trained.</p>"
)


def head_and_strip(lab: Lab) -> None:
    """Lay out header, strip and command buttons, and wire them."""
    drawn_by_script("head")
    with gr.Column(elem_id="lt-top"):
        with gr.Row(elem_id="lt-bar", elem_classes="lt-bar"):
            drawn_by_script("strip")
            with gr.Row(elem_classes="lt-commands"):
                pause = _button("Pause", "pause")
                resume = _button("Resume", "resume", variant="primary")
                save = _button("Save now", "save")
                stop = _button("Stop", "stop", variant="stop")
        with gr.Row(elem_id="lt-ask-stop", elem_classes="lt-ask"):
            gr.HTML(STOP_WORDS, elem_classes="lt-ask-words", apply_default_css=False)
            save_and_stop = _button("Save and stop", "stop-save", variant="primary")
            discard = _button("Discard", "stop-discard", variant="stop")
            go_on = _button("Keep going", "stop-cancel")

    run_id = gr.Textbox(visible=False)
    commands: dict[gr.Button, tuple[Callable[[str], Any], str]] = {
        pause: (lambda run: lab.pause(run), "Pausing after this step."),
        resume: (lambda run: lab.resume(run), "Going on."),
        save: (lambda run: lab.save_now(run), "Saving after this step."),
        save_and_stop: (lambda run: lab.stop("save", run), "Saving, then stopping."),
        discard: (lambda run: lab.stop("discard", run), "Stopping; this session's steps go to the trash."),
    }
    for button, (command, said) in commands.items():
        done = button.click(_commanding(command, said), run_id, None, js=SHOWN_RUN, **COMMAND)
        done.then(None, js=WAKE)
    stop.click(None, js=ASK)
    for button in (save_and_stop, discard, go_on):
        button.click(None, js=DONE_ASKING)


def _button(label: str, name: str, variant: str = "secondary") -> gr.Button:
    return gr.Button(label, size="sm", variant=variant, min_width=84, elem_id=f"lt-{name}", elem_classes="lt-command")


def _commanding(command: Callable[[str], Any], said: str) -> Callable[[str], None]:
    @tells_user
    def on_click(run_id: str) -> None:
        command(run_id or None)
        note(said)

    return on_click
