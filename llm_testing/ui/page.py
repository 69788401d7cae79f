"""The whole page, laid out and wired to the service; nothing is started here."""

import gradio as gr

from llm_testing.service.lab import Lab
from llm_testing.ui.history import history_tab
from llm_testing.ui.pretraining import pretraining_tab
from llm_testing.ui.strip import head_and_strip

TITLE = "LLM-Testing"


def build_page(lab: Lab) -> gr.Blocks:
    """The page of a lab: header and run strip on top, a tab for each thing that can be done."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86_400)) as page:
        head_and_strip(lab)
        with gr.Tabs(elem_id="lt-tabs"):
            with gr.Tab("Pretraining", id="pretraining"):
                pretraining_tab(page, lab)
            with gr.Tab("Run History", id="history"):
                history_tab(lab)
    return page
