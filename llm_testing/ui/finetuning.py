"""The Fine-tuning tab: the form of the next run on the left; its rows, the live run and its model on the right."""

from typing import Any

import gradio as gr

from llm_testing.service.lab import Lab
from llm_testing.service.roles import check
from llm_testing.ui.draft import Form
from llm_testing.ui.form import form_column
from llm_testing.ui.forms import TUNE, model_choices
from llm_testing.ui.guard import CHECKS_ITSELF
from llm_testing.ui.parts import QUIET, drawn_by_script


def finetuning_tab(page: gr.Blocks, tab: gr.Tab, lab: Lab, form: Form, draft: gr.BrowserState) -> None:
    """Lay out the tab inside `page` and wire it to the service."""
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="lt-form"):
            parts = form_column(page, form, draft)
        with gr.Column(scale=7, min_width=320):
            for part in ("views", "examples", "live", "chat", "shelf"):
                drawn_by_script(part, of=TUNE)

    def on_open(request: gr.Request) -> Any:
        """A run that has ended since the page was opened can be tuned now."""
        check(request, "look")
        return gr.update(choices=model_choices(lab))

    # To open a tab is to look; every other handler is the owner's.
    setattr(on_open, CHECKS_ITSELF, True)
    tab.select(on_open, None, parts.controls["model_name"], **QUIET)
