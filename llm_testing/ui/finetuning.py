"""The Fine-tuning tab: the form of the next run on the left; its rows, the live run and its model on the right."""

import gradio as gr

from llm_testing.service.lab import Lab
from llm_testing.ui.form import form_column
from llm_testing.ui.forms import TUNE, finetuning_form
from llm_testing.ui.parts import drawn_by_script


def finetuning_tab(page: gr.Blocks, tab: gr.Tab, lab: Lab, draft: gr.BrowserState) -> None:
    """Lay out the tab inside `page` and wire it to the service."""
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="lt-form"):
            form_column(page, finetuning_form(lab), draft)
        with gr.Column(scale=7, min_width=320):
            for part in ("views", "examples", "live", "chat", "shelf"):
                drawn_by_script(part, of=TUNE)
