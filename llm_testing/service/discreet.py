"""Answers for those who may not see this machine's paths: names instead of folders, no tracebacks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llm_testing.data.corpora import find_corpus
from llm_testing.service.roles import kind_of_text

_LEFT_OUT = ("traceback", "owner")
_TEXTS = ("corpus", "val_corpus")


def discreet(value: Any, roots: Iterable[Path]) -> Any:
    """The same JSON value without paths: of the user's own text its name stays, of a folder of ours an ellipsis."""
    shown = sorted({str(root) for root in roots} - {"/", "."}, key=len, reverse=True)
    return _discreet(value, shown)


def _discreet(value: Any, roots: list[str]) -> Any:
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in _LEFT_OUT}
        return {name: _name_of(item) if name in _TEXTS else _discreet(item, roots) for name, item in kept.items()} | (
            {"path": value["id"]} if "path" in value and "id" in value else {}
        )
    if isinstance(value, list | tuple):
        return [_discreet(item, roots) for item in value]
    if isinstance(value, str):
        for root in roots:
            value = value.replace(root, "…")
    return value


def _name_of(text: Any) -> Any:
    """The last part of a path; names and addresses stay."""
    if not isinstance(text, str) or find_corpus(text) or kind_of_text(text) != "paths":
        return text
    return text.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
