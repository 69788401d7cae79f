"""Options that arrive as text: command-line flags, query strings, YAML and JSON files.

Text is parsed to the option's type first and validated strictly afterwards, so "8" is a batch size in a query string
and refused in a JSON body.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from llm_testing.config.option import Option
from llm_testing.config.problems import shown, unknown_option
from llm_testing.errors import ConfigError, Problem

_YES = {"true", "1", "yes", "on"}
_NO = {"false", "0", "no", "off"}
_NULL = {"", "null", "none"}


def parse_text(option: Option, text: str | list[str]) -> Any:
    """The value that a text means for an option; text of the wrong form is a Problem, raised as ConfigError."""
    if option.kind == "texts":
        return tuple([text] if isinstance(text, str) else text)
    if isinstance(text, list):
        text = text[-1]
    if option.nullable and text.strip().lower() in _NULL:
        return None
    try:
        return _parsed(option, text)
    except ValueError:
        raise ConfigError(
            [Problem(option.name, f"{option.show.title} takes {option.accepts()}; received {shown(text)}.")]
        ) from None


def _parsed(option: Option, text: str) -> Any:
    if option.kind == "int":
        return int(text.replace("_", ""))
    if option.kind == "float":
        return float(text)
    if option.kind == "bool":
        word = text.strip().lower()
        if word not in _YES | _NO:
            raise ValueError(word)
        return word in _YES
    return text


def parse_texts(options: dict[str, Option], texts: Iterable[tuple[str, str | list[str]]]) -> dict[str, Any]:
    """Values by name from texts by name; all problems at once.

    Raises:
        ConfigError: for unknown names and for text of the wrong form.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in texts:
        if name not in options:
            problems.append(Problem(name, unknown_option(name, list(options))))
            continue
        try:
            values[name] = parse_text(options[name], text)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return values


class _Loader(yaml.SafeLoader):
    """YAML 1.2 numbers: PyYAML alone reads 3e-4 as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def read_config_file(path: Path) -> dict[str, Any]:
    """Options by name from a YAML or JSON file, unvalidated.

    Raises:
        ConfigError: for a file that is missing, not YAML or JSON, or not a set of names and values.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)  # noqa: S506 a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("config", f"The file {path} cannot be read: {error}.")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError([Problem("config", f"The file {path} is not YAML or JSON: {reason}.")]) from None
    values = {} if values is None else values
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ConfigError(
            [Problem("config", f"The file {path} holds {type(values).__name__}, but takes option names and values.")]
        )
    return {name.replace("-", "_"): value for name, value in values.items()}
