"""The Fine-tuning tab: the form of the next run on the left; its rows, the live run and its model on the right."""

from typing import Any

import gradio as gr

from llm_testing.service.lab import Lab
from llm_testing.ui.draft import Form
from llm_testing.ui.form import form_column
from llm_testing.ui.forms import TUNE, model_choices
from llm_testing.ui.parts import QUIET, drawn_by_script

NEW_MODELS = "() => import('/live/static/main.js').then((m) => m.newModels())"


def finetuning_tab(page: gr.Blocks, lab: Lab, form: Form, draft: gr.BrowserState) -> None:
    """Lay out the tab inside `page` and wire it to the service."""
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="lt-form"):
            parts = form_column(page, form, draft)
        with gr.Column(scale=7, min_width=320):
            for part in ("views", "examples", "live", "chat", "shelf"):
                drawn_by_script(part, of=TUNE)
    models, anew = parts.controls["model_name"], gr.Checkbox(visible=False)

    def on_focus(new_models: bool) -> Any:
        return gr.update(choices=model_choices(lab)) if new_models else gr.skip()

    # Gradio opens a list whose choices change, so they change when it is opened anyway, and only where there are new.
    models.focus(on_focus, anew, models, js=NEW_MODELS, **QUIET)
