"""Answers for those who may not see this machine's paths: names instead of folders, no tracebacks."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llm_testing.data.corpora import find_corpus
from llm_testing.service.roles import kind_of_text

_LEFT_OUT = ("traceback", "owner", "repeat")
_TEXTS = ("corpus", "val_corpus")
_MAY_BE_PATHS = ("dataset", "model_name", "model")
_PATH = re.compile(r"[/.~\\]|[A-Za-z]:[/\\]")


def discreet(value: Any, roots: Iterable[Path]) -> Any:
    """The same JSON value without paths: of the user's own text its name stays, of a folder of ours an ellipsis."""
    shown = sorted({str(root) for root in roots} - {"/", "."}, key=len, reverse=True)
    return _discreet(value, shown)


def _discreet(value: Any, roots: list[str]) -> Any:
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in _LEFT_OUT}
        return {name: _shown(name, item, roots) for name, item in kept.items()} | (
            {"path": value["id"]} if "path" in value and "id" in value else {}
        )
    if isinstance(value, list | tuple):
        return [_discreet(item, roots) for item in value]
    if isinstance(value, str):
        for root in roots:
            value = value.replace(root, "…")
    return value


def _shown(name: str, item: Any, roots: list[str]) -> Any:
    if isinstance(item, dict) and name in (*_TEXTS, *_MAY_BE_PATHS):
        # A comparison gives every run's value of an option.
        return {key: _shown(name, value, roots) for key, value in _discreet(item, roots).items()}
    if name in _TEXTS:
        return _name_of(item)
    if name in _MAY_BE_PATHS and isinstance(item, str) and _PATH.match(item):
        return _last_part(item)
    return _discreet(item, roots)


def _last_part(text: str) -> str:
    return text.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]


def _name_of(text: Any) -> Any:
    """The last part of a path; names and addresses stay."""
    if not isinstance(text, str) or find_corpus(text) or kind_of_text(text) != "paths":
        return text
    return _last_part(text)
