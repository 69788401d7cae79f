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

from llm_testing.config.foreign import Format, printable, read_bytes, reading
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
    """YAML 1.2 numbers: PyYAML alone reads 3e-4 as text. No alias of a list: nine of nine of nine would have no end."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        alias = self.peek_event() if self.check_event(yaml.AliasEvent) else None
        node = super().compose_node(parent, index)
        if alias and not isinstance(node, yaml.ScalarNode):
            raise yaml.composer.ComposerError(None, None, "an alias stands for a list or a set", alias.start_mark)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)
MAX_FILE_BYTES = 1 << 20
# PyYAML answers tags such as !!int '' and !!bool maybe with whatever its own code stumbles over.
_FORM = Format(
    (yaml.YAMLError, ValueError, RecursionError, IndexError, KeyError, AttributeError, TypeError),
    "Write one name and value a line.",
    "YAML or JSON",
)


def read_config_file(path: Path) -> dict[str, Any]:
    """Options by name from a YAML or JSON file, unvalidated.

    Raises:
        ConfigError: for a file that is missing, not YAML or JSON, or not a set of names and values.
    """
    name = f"The file {path}"
    data = read_bytes(path, MAX_FILE_BYTES, name, _refused_file)
    with reading(name, _FORM, _refused_file):
        text = data.decode("utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)  # noqa: S506 a SafeLoader
        json.dumps(values, default=str, ensure_ascii=False).encode()  # halves of surrogate pairs, depth without end
    values = {} if values is None else values
    if not isinstance(values, dict) or not all(isinstance(option, str) for option in values):
        raise _refused_file(f"{printable(name)} holds {type(values).__name__}, but takes option names and values.")
    return {option.replace("-", "_"): value for option, value in values.items()}


def _refused_file(message: str) -> ConfigError:
    return ConfigError([Problem("config", message)])
