"""The Run History tab: every run folder in a table, one opened or several compared, and what can be done with one."""

from typing import Any

import gradio as gr

from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.text import parse_texts
from llm_testing.service.lab import Lab
from llm_testing.ui.messages import note, tells_user
from llm_testing.ui.parts import COMMAND, WAKE, drawn_by_script

OPEN_RUN = "(run, ...more) => import('/live/static/main.js').then((m) => [m.openRun(), ...more])"
RELOAD = "() => import('/live/static/main.js').then((m) => m.reloadHistory())"


def history_tab(lab: Lab) -> None:
    """Lay out the tab and wire its actions; the table and the charts are the page's own script."""
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=5, min_width=320):
            drawn_by_script("runs")
        with gr.Column(scale=6, min_width=320):
            with gr.Row(elem_id="lt-actions", elem_classes="lt-actions"):
                name = gr.Textbox(label="New name", max_lines=1, max_length=80, min_width=140, elem_id="lt-new-name")
                rename = gr.Button("Rename", size="sm", min_width=84, elem_id="lt-rename")
                # Text, as an empty gr.Number shows a 0 that nobody meant.
                steps = gr.Textbox(
                    label="Total steps, to extend", placeholder="as planned", max_lines=1, max_length=20, min_width=140,
                    elem_id="lt-extend-to",
                )  # fmt: skip
                resume = gr.Button("Resume", size="sm", min_width=84, elem_id="lt-history-resume")
                delete = gr.Button("Delete", size="sm", variant="stop", min_width=84, elem_id="lt-delete")
            undo = gr.Button("Undo delete", size="sm", visible=False, elem_id="lt-undo")
            drawn_by_script("opened")
    run_id, deleted = gr.Textbox(visible=False), gr.State(None)

    @tells_user
    def on_rename(run: str, new_name: str) -> str:
        lab.rename(run, new_name)
        note("Renamed.")
        return ""

    @tells_user
    def on_resume(run: str, total: str) -> None:
        given = [("max_steps", total)] if total.strip() else []
        started = lab.resume(run, parse_texts(options_of(PretrainConfig), given))
        note("Going on." if started.position is None else f"Queued: number {started.position} in line.")

    @tells_user
    def on_delete(run: str) -> tuple[Any, str]:
        lab.trash(run)
        note("In the trash; it can be undone.")
        return gr.update(visible=True), run

    @tells_user
    def on_undo(run: str) -> tuple[Any, None]:
        lab.restore(run)
        note("Back in the list.")
        return gr.update(visible=False), None

    rename.click(on_rename, [run_id, name], name, js=OPEN_RUN, **COMMAND).then(None, js=RELOAD)
    resume.click(on_resume, [run_id, steps], None, js=OPEN_RUN, **COMMAND).then(None, js=WAKE)
    delete.click(on_delete, run_id, [undo, deleted], js=OPEN_RUN, **COMMAND).then(None, js=RELOAD)
    undo.click(on_undo, deleted, [undo, deleted], **COMMAND).then(None, js=RELOAD)
