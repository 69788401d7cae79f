"""The Run History tab: the list of runs beside one of them opened, or several compared.

All of it is drawn by the page's script from /live, and acts through the REST calls, whose guard knows every role.
"""

import gradio as gr

from llm_testing.ui.parts import drawn_by_script


def history_tab() -> None:
    """Lay out the tab's two halves."""
    with gr.Row(elem_classes="lt-columns", elem_id="lt-history"):
        with gr.Column(scale=5, min_width=320):
            drawn_by_script("runs")
        with gr.Column(scale=6, min_width=320):
            drawn_by_script("opened")
