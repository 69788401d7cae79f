"""The Pretraining tab: the form of the next run on the left, the live view of the run that there is on the right."""

import gradio as gr

from llm_testing.ui.draft import Form
from llm_testing.ui.form import form_column
from llm_testing.ui.parts import drawn_by_script


def pretraining_tab(page: gr.Blocks, form: Form, draft: gr.BrowserState) -> None:
    """Lay out the tab inside `page` and wire it to the service."""
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="lt-form"):
            form_column(page, form, draft)
        with gr.Column(scale=7, min_width=320):
            for part in ("views", "live", "playground", "attention", "shelf"):
                drawn_by_script(part)
