"""A draft as something to take away: a command line, a file for --config, a few lines of Python.

All three give every value that differs from the defaults, and no preset, so that they mean the same on every machine.
Control characters are spelt out in all three: pasted raw, ^C would end the line in the middle of a quoted text, and the
rest of it would run.
"""

import json
import shlex
from typing import Any

from llm_testing.config.escapes import LAYOUT, acts
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Option, Options, options_of
from llm_testing.config.pretrain import PretrainConfig

PROGRAM = "python -m llm_testing"
_COMMANDS = {PretrainConfig: ("pretrain", "lab.run_here"), FinetuneConfig: ("finetune", "lab.finetuning.run_here")}


def copies(config: Options) -> dict[str, str]:
    """`cli`, `yaml` and `python` of the config of a run of any kind."""
    values, (command, function) = changed(config), _COMMANDS[type(config)]
    return {
        "cli": _cli(command, options_of(type(config)), values),
        "yaml": _yaml(command, values),
        "python": _python(function, values),
    }


def changed(config: Options) -> dict[str, Any]:
    """The options that are not at their defaults."""
    values = config.model_dump(mode="json")
    defaults = type(config)().model_dump(mode="json")
    return {name: value for name, value in values.items() if value != defaults[name]}


def _cli(command: str, options: dict[str, Option], values: dict[str, Any]) -> str:
    flags = [flag for name, value in values.items() for flag in _flags(options[name], value)]
    return " ".join([f"{PROGRAM} {command} --preset none", *map(_shell_word, flags)])


def _flags(option: Option, value: Any) -> list[str]:
    if option.kind == "bool":
        return [option.flag if value else option.flag.replace("--", "--no-", 1)]
    # With "=", as a text that begins with a dash would be taken for another flag.
    return [f"{option.flag}={one}" for one in (value if isinstance(value, list) else [value])]


def _shell_word(text: str) -> str:
    """A word of a command line; one with control characters is quoted as bash, zsh and POSIX 2024 take it."""
    if not any(acts(c) and c not in LAYOUT for c in text):
        return shlex.quote(text)
    return f"$'{_in_dollar_quotes(text)}'"


def _in_dollar_quotes(text: str) -> str:
    """Text between $' and ': bytes in octal, which mean the same in every locale.

    No quote stands in it, so to a shell that does not know $' it is still one quoted word.
    """
    return "".join(r"\\" if c == "\\" else _octal(c) if c == "'" or acts(c) else c for c in text)


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogatepass"))


def _yaml(command: str, values: dict[str, Any]) -> str:
    body = "".join(f"{name}: {yaml_text(value)}\n" for name, value in values.items())
    return f"# {PROGRAM} {command} --preset none --config FILE\n{body}"


def yaml_text(value: Any) -> str:
    """A text, number or list on one line of YAML, in ASCII.

    YAML reads JSON, except that it has no pairs of surrogates: what lies beyond U+FFFF is spelt with eight digits.
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\x7f").encode("ascii", "backslashreplace").decode()


def _python(function: str, values: dict[str, Any]) -> str:
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    # repr spells out what cannot be printed, and keeps a text in one piece.
    lines = "".join(f"        {name!r}: {value!r},\n" for name, value in given.items())
    return f"""from pathlib import Path

from llm_testing.jobs.control import Control
from llm_testing.service.lab import Lab

lab = Lab(Path("runs"), Path.home() / ".cache" / "llm-testing")
run_id = {function}(
    {{
{lines}    }},
    control=Control(),
)
print(lab.result(run_id))
"""


def spellings(text: str) -> set[str]:
    """A text as each of the copies may spell it."""
    in_quotes = text.replace("'", "'\"'\"'")
    return {text, in_quotes, _in_dollar_quotes(text), yaml_text(text)[1:-1], repr(text)[1:-1]}
