"""The whole page, laid out and wired to the service; nothing is started here."""

from collections.abc import Sequence

import gradio as gr

from llm_testing.service.endpoints import Endpoint
from llm_testing.service.lab import Lab
from llm_testing.ui.endpoints import add_endpoints
from llm_testing.ui.estimator import estimator_tab
from llm_testing.ui.finetuning import finetuning_tab
from llm_testing.ui.form import draft_of
from llm_testing.ui.forms import finetuning_form, pretraining_form
from llm_testing.ui.guard import guard_handlers
from llm_testing.ui.history import history_tab
from llm_testing.ui.pretraining import pretraining_tab
from llm_testing.ui.strip import head_and_strip

TITLE = "LLM-Testing"


def build_page(lab: Lab, endpoints: Sequence[Endpoint] = (), signs_in: bool = False) -> gr.Blocks:
    """The page of a lab: header and run strip on top, a tab for each thing that can be done.

    Args:
        endpoints: what Gradio's clients may call by name.
        signs_in: on a Space, with a button by which its owner signs in.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86_400)) as page:
        if signs_in:
            gr.LoginButton(size="sm", elem_id="lt-sign-in")
        head_and_strip(lab)
        pretraining, tuning = pretraining_form(lab), finetuning_form(lab)
        drafts = [draft_of(form) for form in (pretraining, tuning)]
        with gr.Tabs(elem_id="lt-tabs"):
            with gr.Tab("Pretraining", id="pretraining"):
                pretraining_tab(page, pretraining, drafts[0])
            with gr.Tab("Fine-tuning", id="fine-tuning"):
                finetuning_tab(page, lab, tuning, drafts[1])
            with gr.Tab("VRAM Estimator", id="vram"):
                estimator_tab(page, lab)
            with gr.Tab("Run History", id="history"):
                history_tab()
        add_endpoints(endpoints)
    guard_handlers(page)
    return page
