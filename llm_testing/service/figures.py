"""The charts of a run as plain data: what is drawn in which panel, and the colour of every run.

The page's script and a run's report draw from the same description, so neither needs plotly here.
"""

from hashlib import sha256
from typing import Any

RUN_COLOURS = (
    "#4c78d8",
    "#e07b39",
    "#2f9e77",
    "#c44e8a",
    "#8a6fd1",
    "#b8912a",
    "#2a9fb8",
    "#d1605e",
    "#6b8e3d",
    "#9a6a4f",
)
"""Told apart on light and on dark ground, none of them a state's colour."""

PANELS: tuple[dict[str, Any], ...] = (
    {
        "key": "loss",
        "title": "loss, nats a token",
        "log": True,
        "traces": (
            {"column": "train_loss", "name": "train", "style": "line"},
            {"column": "val_loss", "name": "validation", "style": "dots"},
            {"column": "final_val_loss", "name": "validation, whole split", "style": "star"},
        ),
    },
    {
        "key": "lr",
        "title": "learning rate",
        "log": False,
        "traces": ({"column": "lr", "name": "learning rate", "style": "plain"},),
    },
    {
        "key": "grad_norm",
        "title": "gradient norm",
        "log": False,
        "traces": ({"column": "grad_norm", "name": "gradient norm", "style": "plain"},),
    },
    {
        "key": "tokens_per_s",
        "title": "tokens/s",
        "log": False,
        "traces": ({"column": "tokens_per_s", "name": "tokens/s", "style": "plain"},),
    },
    {
        "key": "memory",
        "title": "peak memory, GiB",
        "log": False,
        "divide": 2**30,
        "traces": ({"column": "peak_bytes", "name": "peak memory", "style": "plain"},),
    },
)
"""From the top; the first is large, the others small and linked to its x axis. `style` line may be smoothed.
Values of a panel with `divide` are divided by it."""

X_AXES = (
    {"column": "step", "title": "step", "divide": 1},
    {"column": "tokens_seen", "title": "tokens", "divide": 1},
    {"column": "elapsed_s", "title": "minutes", "divide": 60},
)


def colour_of(run_id: str) -> str:
    """A run's colour, the same wherever it is drawn and after every restart."""
    return RUN_COLOURS[_place_of(run_id)]


def colour_follows(run_id: str, before: str) -> bool:
    """Whether a run's colour is the next one after another's: so chosen, ten runs in a row all differ."""
    return _place_of(run_id) == (_place_of(before) + 1) % len(RUN_COLOURS)


def _place_of(run_id: str) -> int:
    return sha256(run_id.encode()).digest()[0] % len(RUN_COLOURS)
