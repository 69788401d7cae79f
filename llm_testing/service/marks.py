"""What people write on their runs: a name, tags, notes, a star, and whether it is put away."""

import unicodedata
from collections.abc import Iterable
from typing import Any

from llm_testing.config.limits import LONGEST_NOTES, LONGEST_TAG, MOST_TAGS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError, Problem

MARKS = ("name", "tags", "notes", "starred", "archived")


def checked_marks(values: dict[str, Any]) -> dict[str, Any]:
    """Marks as run.json keeps them; tags are normalised.

    Args:
        values: some of MARKS.

    Raises:
        ConfigError: naming each that was refused.
    """
    problems: list[Problem] = []
    marks = dict(values)
    if "name" in marks:
        PretrainConfig.build({"name": marks["name"]})
    if len(marks.get("notes") or "") > LONGEST_NOTES:
        problems.append(Problem("notes", f"Notes have at most {LONGEST_NOTES:,} characters."))
    if "tags" in marks:
        try:
            marks["tags"] = normal_tags(marks["tags"])
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return marks


def normal_tags(tags: Iterable[str]) -> list[str]:
    """Tags without what nobody sees: blanks at the ends and double ones, control characters, repeats in other cases.

    Raises:
        ConfigError: for too many, and for one that is too long.
    """
    found: dict[str, str] = {}
    for tag in tags:
        shown = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", tag))
        shown = " ".join(shown.replace(",", " ").split())
        if len(shown) > LONGEST_TAG:
            raise ConfigError([Problem("tags", f"A tag has at most {LONGEST_TAG} characters; received {len(shown)}.")])
        if shown:
            found.setdefault(shown.casefold(), shown)
    if len(found) > MOST_TAGS:
        raise ConfigError([Problem("tags", f"A run has at most {MOST_TAGS} tags; received {len(found)}.")])
    return list(found.values())
