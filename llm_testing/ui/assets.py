"""The files that the page's browser loads from us."""

from pathlib import Path

import plotly

STATIC = Path(__file__).parent / "static"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def addresses() -> dict[str, Path]:
    """Every file by the address that the page's scripts use for it."""
    own = {f"/live/static/{path.name}": path for path in sorted(STATIC.iterdir()) if path.suffix in (".js", ".css")}
    return own | {"/live/plotly.min.js": PLOTLY_JS}


def page_css() -> str:
    """The page's own styles, on top of the theme."""
    return (STATIC / "page.css").read_text(encoding="utf-8")


def mounted(part: str) -> str:
    """The script of a gr.HTML that hands its element to one part of static/main.js.

    `watch` must be asked for inside: Gradio offers it to this script alone.
    """
    return f"import('/live/static/main.js').then((m) => m.mount('{part}', element, props, watch));"
