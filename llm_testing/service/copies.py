"""A draft as something to take away: a command line, a file for --config, a few lines of Python.

All three give every value that differs from the defaults, and no preset, so that they mean the same on every machine.
"""

import json
import shlex
from pprint import pformat
from typing import Any

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
    return " ".join([f"{PROGRAM} {command} --preset none", *map(shlex.quote, flags)])


def _flags(option: Option, value: Any) -> list[str]:
    if option.kind == "bool":
        return [option.flag if value else option.flag.replace("--", "--no-", 1)]
    # With "=", as a text that begins with a dash would be taken for another flag.
    return [f"{option.flag}={one}" for one in (value if isinstance(value, list) else [value])]


def _yaml(command: str, values: dict[str, Any]) -> str:
    # YAML reads JSON, so every text and number comes back as it was.
    body = "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())
    return f"# {PROGRAM} {command} --preset none --config FILE\n{body}"


def _python(function: str, values: dict[str, Any]) -> str:
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return f"""from pathlib import Path

from llm_testing.jobs.control import Control
from llm_testing.service.lab import Lab

lab = Lab(Path("runs"), Path.home() / ".cache" / "llm-testing")
run_id = {function}(
    {pformat(given, width=100, sort_dicts=False).replace(chr(10), chr(10) + "    ")},
    control=Control(),
)
print(lab.result(run_id))
"""
