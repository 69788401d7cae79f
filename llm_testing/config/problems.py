"""Turning pydantic's validation errors into sentences that name the option and what it takes."""

import difflib
from typing import Any

from pydantic import ValidationError

from llm_testing.config.foreign import printable
from llm_testing.errors import Problem

_LONGEST_SHOWN = 60


def problems_of(error: ValidationError, options: dict[str, Any]) -> list[Problem]:
    """Every problem of a validation error, one for each field.

    Args:
        options: `options_of` the config that refused, for ranges and near names.
    """
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "rules":
            found.update({p.field: p for p in detail["ctx"]["problems"]})
            continue
        name = str(detail["loc"][0]) if detail["loc"] else ""
        found.setdefault(name, Problem(printable(name, _LONGEST_SHOWN), _sentence(name, detail, options)))
    return list(found.values())


def _sentence(name: str, detail: dict[str, Any], options: dict[str, Any]) -> str:
    if not name:
        return f"A config is a set of option names and values; received {shown(detail['input'])}."
    if detail["type"] == "extra_forbidden":
        return unknown_option(name, list(options))
    option = options[name]
    extra = "" if detail["type"] != "string_pattern_mismatch" else f" like {', '.join(option.show.suggestions)}"
    return f"{option.show.title} takes {option.accepts()}{extra}; received {shown(detail['input'])}."


def unknown_option(name: str, known: list[str]) -> str:
    """Say that there is no such option, and which is nearest."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"The options are {', '.join(known)}."
    return f"There is no option {shown(name)}. {hint}"


def shown(value: Any) -> str:
    """A received value as it may be printed: quoted, on one line, not endless."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
