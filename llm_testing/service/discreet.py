"""Answers for those who may not see this machine's paths: names instead of folders, no tracebacks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llm_testing.service.copies import spellings
from llm_testing.service.names import last_part, needs_of_dataset, needs_of_model
from llm_testing.service.roles import kind_of_text

_LEFT_OUT = ("traceback", "owner", "repeat")
_NEEDS = {
    "corpus": kind_of_text,
    "val_corpus": kind_of_text,
    "model_name": needs_of_model,
    "model": needs_of_model,
    "dataset": needs_of_dataset,
}
"""What naming the value of each of these options needs; where that is a path, its last part is its name."""


def discreet(value: Any, roots: Iterable[Path]) -> Any:
    """The same JSON value without paths: of the user's own files the name stays, of a folder of ours an ellipsis."""
    hidden = {str(root): "…" for root in roots} | {text: last_part(text) or "…" for text in _own_paths(value)}
    longest_first = sorted((text for text in hidden if text not in ("/", ".")), key=len, reverse=True)
    return _discreet(value, {text: hidden[text] for text in longest_first})


def _own_paths(value: Any) -> set[str]:
    """Every path that an option in a value names: sentences beside it may say it again."""
    if isinstance(value, dict):
        named = {
            text
            for name, item in value.items()
            if name in _NEEDS
            # A comparison gives every run's value of an option.
            for text in (item.values() if isinstance(item, dict) else [item])
            if isinstance(text, str) and _NEEDS[name](text) == "paths"
        }
        # A copied command line or file spells it in its own way.
        return named.union(*map(spellings, named), *map(_own_paths, value.values()))
    return set().union(*map(_own_paths, value)) if isinstance(value, list | tuple) else set()


def _discreet(value: Any, hidden: dict[str, str]) -> Any:
    if isinstance(value, dict):
        kept = {name: _discreet(item, hidden) for name, item in value.items() if name not in _LEFT_OUT}
        return kept | ({"path": kept["id"]} if "path" in kept and "id" in kept else {})
    if isinstance(value, list | tuple):
        return [_discreet(item, hidden) for item in value]
    if isinstance(value, str):
        for text, instead in hidden.items():
            value = value.replace(text, instead)
    return value
