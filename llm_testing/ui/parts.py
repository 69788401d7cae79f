"""The parts of the page that its own script draws: an empty element here, a module of static/ behind it."""

from typing import Any

import gradio as gr


def drawn_by_script(part: str, value: Any = None) -> gr.HTML:
    """An element that static/main.js fills.

    Args:
        part: a name of main.js's table; the element's class and id are `lt-` and this.
        value: data for the script, which is told when a handler gives a new one. It is never written as markup.
    """
    # The script is asked for by `import`, as Gradio may build its elements before the document's own scripts ran.
    return gr.HTML(
        value,
        html_template=f"<div class='lt-{part}'></div>",
        js_on_load=f"import('/live/static/main.js').then((m) => m.mount('{part}', element, props, watch));",
        apply_default_css=False,
        elem_id=f"lt-{part}",
    )
