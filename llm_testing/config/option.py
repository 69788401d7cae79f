"""How an option is declared, and how its one declaration is read by everything that shows or takes options.

An option is a field of an `Options` model: its type and range are pydantic's, its help is the docstring under it, and
`Show` adds what people see. Form, flags, REST bodies, the saved config and the README's table ask `options_of`.
"""

import types
import typing
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, Self

import annotated_types
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from llm_testing.config.limits import LONGEST_PROMPT
from llm_testing.config.problems import problems_of
from llm_testing.errors import ConfigError, Problem

Level = Literal["basic", "advanced"]


@dataclass(frozen=True)
class Show:
    """What people see of an option beside its help.

    Args:
        title: the label.
        group: the heading it stands under.
        unit: what a number counts, or "".
        level: "basic" is always in view, "advanced" is folded.
        resume: "fixed" if resuming the same run must keep it, "change" if it may differ.
        suggestions: values worth offering where any text is taken.
    """

    title: str
    group: str
    unit: str = ""
    level: Level = "advanced"
    resume: Literal["fixed", "change"] = "fixed"
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One option's facts, read from its declaration.

    Args:
        kind: "int", "float", "bool", "choice", "text", "texts" (several texts), "rows" (several sets of options)
            or "object" (names and values).
        minimum, maximum: inclusive bounds of a number, or of how many characters or texts there are; or None.
        nullable: None is a value of its own ("choose for me").
    """

    name: str
    kind: Literal["int", "float", "bool", "choice", "text", "texts", "rows", "object"]
    default: Any
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    nullable: bool
    help: str
    show: Show

    @property
    def flag(self) -> str:
        """The command line's spelling: `--grad-accum-steps`."""
        return "--" + self.name.replace("_", "-")

    def accepts(self) -> str:
        """What values it takes, in words: "a whole number from 1 to 1,024"."""
        if self.kind == "choice":
            words = "one of " + ", ".join(self.choices)
        elif self.kind == "bool":
            words = "yes or no (true or false)"
        elif self.kind == "object":
            words = "names and values"
        elif self.kind in ("int", "float"):
            words = "a whole number" if self.kind == "int" else "a number"
            if self.minimum is not None and self.maximum is not None:
                words += f" from {number_in_words(self.minimum)} to {number_in_words(self.maximum)}"
            elif self.minimum is not None:
                words += f" of at least {number_in_words(self.minimum)}"
        else:
            what = {"text": ("text", "characters"), "texts": ("a list", "texts"), "rows": ("a list", "entries")}
            words = _lengths(*what[self.kind], self)
        return words + (", or nothing" if self.nullable else "")


def _lengths(words: str, unit: str, option: Option) -> str:
    """ "text" -> "text of 1 to 80 characters"."""
    if option.maximum is None:
        return words
    least = f"{number_in_words(option.minimum)} to" if option.minimum else "at most"
    return f"{words} of {least} {number_in_words(option.maximum)} {unit}"


def number_in_words(value: float) -> str:
    """1024 -> "1,024", 1e-06 -> "1e-06"."""
    return f"{value:,}" if isinstance(value, int) or value == 0 or abs(value) >= 1e-3 else f"{value:g}"


class Options(BaseModel):
    """Base of every config: frozen, strict, no unknown keys, null means absent."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, values: Any) -> Any:
        # Clients of the earlier project send null for what they leave open.
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _rules(self) -> Self:
        problems = [*self.problems(), *self._long_texts()]
        if problems:
            raise PydanticCustomError("rules", "options that do not fit together", {"problems": problems})
        return self

    def _long_texts(self) -> list[Problem]:
        # A list's own bound says how many texts there are, and none of them how long one may be.
        return [
            Problem(name, f"Each text has at most {LONGEST_PROMPT:,} characters; received one of {len(text):,}.")
            for name, value in self
            if isinstance(value, tuple)
            for text in value
            if isinstance(text, str) and len(text) > LONGEST_PROMPT
        ]

    def problems(self) -> list[Problem]:
        """Rules between options; each breach names the field to change."""
        return []

    @classmethod
    def build(cls, values: dict[str, Any]) -> Self:
        """Check values and give a config.

        Raises:
            ConfigError: naming every field that was refused, all at once.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(problems_of(error, options_of(cls))) from None


@cache
def options_of(config_class: type[Options]) -> dict[str, Option]:
    """Every option of a config class by name, in the order of their declaration."""
    return {name: _read(name, field) for name, field in config_class.model_fields.items()}


def _read(name: str, field: Any) -> Option:
    annotation, nullable = field.annotation, False
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        inner = [a for a in typing.get_args(annotation) if a is not type(None)]
        annotation, nullable = inner[0], True
    choices: tuple[str, ...] = ()
    if typing.get_origin(annotation) is Literal:
        kind, choices = "choice", typing.get_args(annotation)
    elif typing.get_origin(annotation) is tuple:
        kind = "texts" if typing.get_args(annotation)[0] is str else "rows"
    else:
        kinds = {int: "int", float: "float", bool: "bool", str: "text", dict: "object"}
        kind = kinds[typing.get_origin(annotation) or annotation]
    return Option(
        name=name,
        kind=kind,
        default=field.default,
        choices=choices,
        minimum=_bound(field, annotated_types.Ge, annotated_types.MinLen),
        maximum=_bound(field, annotated_types.Le, annotated_types.MaxLen),
        nullable=nullable,
        help=" ".join((field.description or "").split()),
        show=next(m for m in field.metadata if isinstance(m, Show)),
    )


def _bound(field: Any, *kinds: type) -> float | None:
    """The inclusive bound that one of the kinds of metadata declares, if any."""
    # Each of annotated_types' bounds is a dataclass of one field: Ge(ge=1), MaxLen(max_length=80).
    return next((next(iter(asdict(m).values())) for m in field.metadata if isinstance(m, kinds)), None)
