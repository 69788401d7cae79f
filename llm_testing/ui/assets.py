"""The files that the page's browser loads from us."""

from pathlib import Path

import plotly

STATIC = Path(__file__).parent / "static"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def addresses() -> dict[str, Path]:
    """Every file by the address that the page's scripts use for it."""
    own = {f"/live/static/{path.name}": path for path in sorted(STATIC.iterdir()) if path.suffix in (".js", ".css")}
    return own | {"/live/plotly.min.js": PLOTLY_JS}


def page_head() -> str:
    """What the document's head loads; as launch(css=) the styles could not look at the document's own state."""
    styles = "".join(f'<link rel="stylesheet" href="/live/static/{name}.css">' for name in ("page", "place", "history"))
    return styles + '<script type="module" src="/live/static/place.js"></script>'
