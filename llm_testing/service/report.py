"""A run or a comparison as one HTML page that opens without a network: figures, tables and texts, all inside it.

Everything of a run is somebody's text, so all of it is escaped, in the page and inside its JSON.
"""

import importlib.util
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from llm_testing.config.escapes import LAYOUT, escape_controls
from llm_testing.errors import UserError
from llm_testing.service.figures import PANELS, RUN_COLOURS, X_AXES

MOST_TEXTS = 200
_HERE = Path(__file__).parent
_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title><style>{style}</style></head><body><main>"""
_RESULTS = (
    ("state", "State"), ("step", "Steps"), ("val_loss", "Validation loss"), ("val_bits_per_byte", "Bits a byte"),
    ("best_val_loss", "Best validation"), ("train_loss", "Training loss"), ("tokens_seen", "Tokens"),
    ("tokens_per_s", "Tokens/s"), ("elapsed_s", "Time"), ("peak_bytes", "Peak memory"),
    ("estimated_bytes", "Estimated memory"), ("num_parameters", "Parameters"),
)  # fmt: skip


def plotly_js() -> Path:
    """plotly's own script, found without importing the package."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("A report needs the package plotly for its charts. Install it with: pip install plotly")
    return Path(next(iter(spec.submodule_search_locations))) / "package_data" / "plotly.min.js"


def report_page(runs: list[dict[str, Any]], differing: dict[str, dict[str, Any]]) -> Iterator[bytes]:
    """The page in pieces.

    Args:
        runs: of each run its id, record, result, rows, samples, events, the command that repeats it, and in damaged a
            sentence about its files, or None; the record's damage has the places.
        differing: the options in which they differ, with each run's value by id.
    """
    several = len(runs) > 1
    for place, run in enumerate(runs):
        # The letter tells runs apart without colours, which are the palette's in order so that no two are alike.
        run |= {"letter": chr(65 + place % 26), "colour": RUN_COLOURS[place % len(RUN_COLOURS)]}
    title = f"Comparison of {len(runs)} runs" if several else _name(runs[0])
    yield _HEAD.format(title=_text(title), style=(_HERE / "report.css").read_text("utf-8")).encode()
    yield f"<h1>{_text(title)}</h1>{_about(runs)}".encode()
    if damaged := "".join(_damaged(run, several) for run in runs):
        yield _section("Damaged values", damaged).encode()
    if several:
        yield (_section("What differs", _differing(runs, differing))).encode()
    yield _section("Results", _results(runs)).encode()
    yield b'<section><h2>Curves</h2><div id="charts"></div></section>'
    yield _section("Samples", _samples(runs)).encode()
    for run in runs:
        yield _facts(run, several).encode()
    yield b"</main><script>"
    yield plotly_js().read_bytes()
    yield b"</script><script>const REPORT = "
    yield _json_in_script({"runs": [_curves(run) for run in runs], "panels": PANELS, "x_axes": X_AXES})
    yield f";\n{(_HERE / 'report.js').read_text('utf-8')}</script></body></html>\n".encode()


def _json_in_script(value: Any) -> bytes:
    """JSON that cannot end the script it stands in: no < at all."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII, so no line separators either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def _curves(run: dict[str, Any]) -> dict[str, Any]:
    # Plotly reads a small markup in names, so a run's is escaped for it too.
    return {"name": _text(_name(run)), "letter": run["letter"], "colour": run["colour"], "columns": run["columns"]}


def _about(runs: list[dict[str, Any]]) -> str:
    if len(runs) == 1:
        record = runs[0]["record"]
        tags = "".join(f'<span class="tag">{_text(tag)}</span>' for tag in record["tags"])
        notes = f'<p class="notes">{_text(record["notes"])}</p>' if record["notes"] else ""
        error = f'<p class="bad">{_text(record["error"])}</p>' if record["error"] else ""
        about = f"{record['kind']} · {record['created_at']} · {runs[0]['run_id']}"
        return f'<p class="soft">{_text(about)} {tags}</p>{error}{notes}'
    items = "".join(
        f"<li>{_badge(run)} {_text(_name(run))} <span class=soft>{_text(run['run_id'])}</span></li>" for run in runs
    )
    return f"<ul class=runs>{items}</ul>"


def _damaged(run: dict[str, Any], several: bool) -> str:
    """What of a run's files could not be used, place by place."""
    damage = run["record"]["damage"]
    if not damage:
        return ""
    rows = [
        [place["file"], str(place["line"] or ""), place["field"], place["found"], f"{place['count']:,}"]
        for place in damage["places"]
    ]
    name = f"{_badge(run)} {_text(_name(run))}: " if several else ""
    table = _table(["File", "First line", "Field", "What was found first", "Times"], rows)
    return f'<p class="bad">{name}{_text(run["damaged"])}</p><details><summary>Places</summary>{table}</details>'


def _results(runs: list[dict[str, Any]]) -> str:
    rows = [[title, *(_shown(name, run["result"].get(name)) for run in runs)] for name, title in _RESULTS]
    return _table(_heads(runs), rows)


def _differing(runs: list[dict[str, Any]], differing: dict[str, dict[str, Any]]) -> str:
    if not differing:
        return "<p>All their options are the same.</p>"
    rows = [[name, *(_value(values.get(run["run_id"])) for run in runs)] for name, values in differing.items()]
    return _table(_heads(runs), rows)


def _samples(runs: list[dict[str, Any]]) -> str:
    """What each run wrote, by prompt and step, side by side."""
    said: dict[tuple[int, str], dict[str, str]] = {}
    for run in runs:
        for row in run["samples"][-MOST_TEXTS:]:
            key = (row.get("step") or 0, str(row.get("prompt", "")))
            said.setdefault(key, {})[run["run_id"]] = str(row.get("text", ""))
    if not said:
        return "<p>There are none.</p>"
    rows = [
        [f"step {step:,}: {prompt}", *(texts.get(run["run_id"], "") for run in runs)]
        for (step, prompt), texts in sorted(said.items(), key=lambda entry: -entry[0][0])
    ]
    table = _table(["Step and prompt", *_heads(runs)[1:]], rows[:MOST_TEXTS], "texts")
    return f"<details open><summary>{len(rows):,} texts, the newest first</summary>{table}</details>"


def _facts(run: dict[str, Any], several: bool) -> str:
    record = run["record"]
    events = [
        [str(row.get("at") or ""), str(row.get("event")), _value({k: v for k, v in row.items() if k not in _EVENT})]
        for row in run["events"][-MOST_TEXTS:]
    ]
    folds = [
        ("Command that repeats it", f"<pre>{_text(run['command'])}</pre>"),
        ("Settings", _table(["Option", "Value"], [[k, _value(v)] for k, v in record["config"].items()])),
        ("Events", _table(["When", "What", ""], events)),
        ("Environment", _table(["", ""], [[k, _value(v)] for k, v in record["environment"].items()])),
        ("Data", _table(["", ""], [[k, _value(v)] for k, v in record["data"].items()])),
    ]
    inside = "".join(
        f"<details{' open' if place == 0 else ''}><summary>{title}</summary>{body}</details>"
        for place, (title, body) in enumerate(folds)
    )
    title = f"{_badge(run)} {_text(_name(run))}" if several else "How it was made"
    return f"<section><h2>{title}</h2>{inside}</section>"


_EVENT = ("at", "event", "n", "traceback")


def _heads(runs: list[dict[str, Any]]) -> list[str]:
    return ["", *((f"{run['letter']} {_name(run)}" for run in runs) if len(runs) > 1 else [""])]


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _table(heads: list[str], rows: list[list[str]], kind: str = "") -> str:
    head = "".join(f"<th>{_text(head)}</th>" for head in heads)
    body = "".join(
        f"<tr><th scope=row>{_text(row[0])}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    shown = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    return f'<div class="box"><table class="{kind}">{shown}<tbody>{body}</tbody></table></div>'


def _badge(run: dict[str, Any]) -> str:
    return f'<b class="badge" style="background:{run["colour"]}">{run["letter"]}</b>'


def _name(run: dict[str, Any]) -> str:
    return run["record"]["name"] or run["run_id"]


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name.endswith("_bytes"):
        return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
    if name == "elapsed_s":
        return f"{value / 60:.1f} min" if value >= 60 else f"{value:.0f} s"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _value(value: Any) -> str:
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " | ".join(map(_value, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(text: Any) -> str:
    """Text as the page shows it: markup escaped, and marks that turn or hide what stands around it spelt out."""
    return escape(escape_controls(str(text), LAYOUT))
