"""Flags made from the declaration of options, and the values that were given with them."""

import argparse
import difflib
from collections.abc import Iterable
from typing import Any

from llm_testing.config.option import Option, number_in_words
from llm_testing.config.text import parse_texts
from llm_testing.errors import ConfigError, Problem

_METAVARS = {"int": "N", "float": "X", "text": "TEXT", "texts": "TEXT"}


def add_flags(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """A flag for each option, under its group's heading. What was not given stays None."""
    groups: dict[str, Any] = {}
    for option in options:
        title = option.show.group
        group = groups.setdefault(title, None) or parser.add_argument_group(title)
        groups[title] = group
        settings: dict[str, Any] = {"dest": option.name, "default": None, "help": _help(option)}
        if option.kind == "bool":
            settings["action"] = argparse.BooleanOptionalAction
        else:
            settings["metavar"] = "|".join(option.choices) or _METAVARS[option.kind]
            settings["action"] = "append" if option.kind == "texts" else "store"
        group.add_argument(option.flag, **settings)


def given_values(namespace: argparse.Namespace, options: dict[str, Option]) -> dict[str, Any]:
    """The values of the flags that were given, by option.

    Raises:
        ConfigError: naming every flag whose text is not of the option's form.
    """
    given = {name: getattr(namespace, name, None) for name in options}
    switched = {name: value for name, value in given.items() if isinstance(value, bool)}
    texts = [(name, value) for name, value in given.items() if value is not None and name not in switched]
    return parse_texts(options, texts) | switched


def default_in_words(option: Option) -> str:
    """An option's default as somebody would type it, or "none"."""
    if option.default is None or option.default == "":
        return "none"
    if option.kind == "bool":
        return "yes" if option.default else "no"
    if option.kind == "texts":
        return ", ".join(option.default)
    return f"{option.default:g}" if option.kind == "float" else str(option.default)


def takes_in_words(option: Option) -> str:
    """What an option takes, without a sentence around it: "1 to 1,024 tokens"."""
    if option.kind == "bool":
        return "yes or no"
    if option.kind == "choice":
        return ", ".join(option.choices)
    if option.kind in ("int", "float") and option.minimum is not None:
        top = option.maximum
        words = f"{number_in_words(option.minimum)} " + ("or more" if top is None else f"to {number_in_words(top)}")
        return f"{words} {option.show.unit}".rstrip()
    return option.accepts().removesuffix(", or nothing")


def _help(option: Option) -> str:
    """The option's own sentence and its facts; argparse wants each % doubled."""
    facts = f"default {default_in_words(option)}"
    if option.kind not in ("bool", "choice"):
        facts = f"{takes_in_words(option)}; {facts}"
    again = " Give it once for each text." if option.kind == "texts" else ""
    return f"{option.help}{again} [{facts}]".replace("%", "%%")


def refuse_unknown(unknown: list[str], known: Iterable[str]) -> None:
    """Say which words of a command line mean nothing, and which flag is nearest.

    Raises:
        ConfigError: if there are any.
    """
    known = list(known)
    problems = []
    for place, word in enumerate(unknown):
        if place and not word.startswith("-") and unknown[place - 1].startswith("-"):
            continue  # the value of the unknown flag before it
        flag = word.split("=", 1)[0]
        near = difflib.get_close_matches(flag, known, n=1) if flag.startswith("-") else []
        hint = f"Did you mean {near[0]}?" if near else "--help lists what there is."
        what = f"no option {flag}" if flag.startswith("-") else f"nothing that {word!r} could mean here"
        problems.append(Problem("", f"There is {what}. {hint}"))
    if problems:
        raise ConfigError(problems)


def problem_lines(error: ConfigError, options: dict[str, Option]) -> list[str]:
    """One line for each problem, beginning with the flag to change."""
    return [_flag_of(problem.field, options) + " ".join(problem.message.split()) for problem in error.problems]


def _flag_of(field: str, options: dict[str, Option]) -> str:
    if field in ("", "checkpoint"):
        return ""
    # A flag that does not exist never gets this far, so an unknown name was in the file.
    return f"{options[field].flag}: " if field in options else "--preset: " if field == "preset" else "--config: "
