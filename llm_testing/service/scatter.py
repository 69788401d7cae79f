"""Any option of runs against any result: what a sweep or a month of runs says about one knob."""

from collections.abc import Iterable
from typing import Any

from llm_testing.errors import ConfigError, Problem
from llm_testing.service.comparing import tokens_differ
from llm_testing.service.figures import colour_of
from llm_testing.service.views import RunSummary

RESULTS = (
    "val_loss", "best_val_loss", "val_bits_per_byte", "train_loss", "tokens_per_s", "peak_bytes", "elapsed_s",
    "tokens_seen", "num_parameters",
)  # fmt: skip


def scattered(lines: Iterable[tuple[RunSummary, dict]], option: str, result: str) -> dict[str, Any]:
    """Points of runs: an option's value and a result.

    Args:
        lines: each run's line of the list and its record.

    Returns:
        {"option", "result", "points": [{run_id, name, colour, kind, x, y}], "options": those that differ between the
        runs, "results": those that can be asked for, "why": a sentence where losses cannot be compared}.

    Raises:
        ConfigError: for a result that there is not, and for an option that none of the runs has.
    """
    if result not in RESULTS:
        raise ConfigError([Problem("result", f"There is no result {result[:40]!r}; there are {', '.join(RESULTS)}.")])
    lines = list(lines)
    configs = [record["config"] for _, record in lines]
    options = sorted({name for config in configs for name in config} - {"name"})
    differ = [name for name in options if len({repr(config.get(name)) for config in configs}) > 1]
    if lines and option not in options:
        raise ConfigError([Problem("option", f"No run here has the option {option[:40]!r}; some have {differ[:12]}.")])
    points = [
        {
            "run_id": line.run_id,
            "name": line.name,
            "colour": colour_of(line.run_id),
            "kind": line.kind,
            "x": record["config"].get(option),
            "y": getattr(line, result),
        }
        for line, record in lines
        if getattr(line, result) is not None and record["config"].get(option) is not None
    ]
    why = tokens_differ([record for _, record in lines]) if "loss" in result else None
    return {
        "option": option, "result": result, "points": points, "options": differ, "results": list(RESULTS), "why": why,
    }  # fmt: skip
