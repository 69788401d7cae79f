"""The parts of the page that its own script draws: an empty element here, a module of static/ behind it."""

from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
COMMAND: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Commands go through the queue: without it a note for the user would not reach the page."""
WAKE = "() => import('/live/static/main.js').then((m) => m.wake())"


def drawn_by_script(part: str, value: Any = None, of: str = "") -> gr.HTML:
    """An element that static/main.js fills.

    Args:
        part: a name of main.js's table; the element's class and id are `lt-` and this.
        value: data for the script, which is told when a handler gives a new one. It is never written as markup.
        of: tells several elements of a part from each other; their ids begin with it.
    """
    # The script is asked for by `import`, as Gradio may build its elements before the document's own scripts ran.
    return gr.HTML(
        value,
        html_template=f"<div class='lt-{part}'></div>",
        js_on_load=f"import('/live/static/main.js').then((m) => m.mount('{part}', element, props, watch, '{of}'));",
        apply_default_css=False,
        elem_id=id_of(part, of),
    )


def id_of(name: str, of: str = "") -> str:
    """The id of an element in the document: "lt-start", of the form "tune" "lt-tune-start"."""
    return f"lt-{of}-{name}" if of else f"lt-{name}"
