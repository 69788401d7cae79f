"""Shapes: what a value of a file may be. Whatever does not fit becomes its blank, and is told as damage.

Run folders come from other machines, older versions and people's editors, so nothing in them is believed. Where a file
is read, its values are held against its shape once; whoever gets them then looks no second time.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_testing.config.limits import LONGEST_TEXT, LONGEST_WORD
from llm_testing.store.damage import Damage

KEPT_OF_CUT = 500
"""Characters that stay of a text that is longer than anybody here may write."""
LARGEST = 3.4028235e38
"""Of numbers: that of 32-bit floats, in which losses and gradients are computed."""
LARGEST_WHOLE = 2**63 - 1
_NONE = type(None)


@dataclass
class Look:
    """One look at a file: where things that do not fit are told."""

    damage: Damage
    file: str
    line: int | None = None

    def wrong(self, name: str, value: object, shape: "Shape") -> Any:
        """Tell of a value that does not fit, and give what stands in its place."""
        self.damage.wrong(self.file, self.line, name, value, shape.words)
        return copy(shape.blank)

    def lacking(self, name: str, needed: str) -> None:
        """Tell of an object that cannot be used, as something in it cannot."""
        self.damage.wrong(self.file, self.line, name, None, f"an object with a usable {needed}")

    def text(self, name: str, value: str, most: int) -> str:
        """A text without what no file can hold; of one that is too long the beginning."""
        if len(value) > most:
            said = f"{len(value):,} characters where at most {most:,} fit; cut"
            self.damage.cut(self.file, self.line, name, said)
            value = f"{value[: min(most, KEPT_OF_CUT)]}… (cut, {len(value):,} characters)"
        if not value.isascii() and (whole := value.encode("utf-8", "replace").decode()) != value:
            self.damage.wrong(self.file, self.line, name, value, "text in UTF-8")
            return whole
        return value


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a value may be.

    Args:
        blank: what stands in for a value that does not fit; where it is not None, null does not fit either.
    """

    blank: Any = None
    words = "something else"

    def held(self, value: Any, name: str, look: Look) -> Any:
        """The value, or what stands in its place."""
        if value is None and self.blank is None:
            return None
        return self._held(value, name, look)

    def _held(self, value: Any, name: str, look: Look) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Text(Shape):
    """A text of at most so many characters."""

    most: int = LONGEST_WORD
    words = "text"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        return look.text(name, value, self.most) if type(value) is str else look.wrong(name, value, self)


@dataclass(frozen=True)
class Word(Shape):
    """One of some words."""

    of: frozenset[str] = frozenset()

    @property
    def words(self) -> str:  # type: ignore[override]
        return f"one of {', '.join(sorted(self.of))}"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        return value if type(value) is str and value in self.of else look.wrong(name, value, self)


@dataclass(frozen=True)
class Time(Shape):
    """A moment as ISO 8601 has it."""

    words = "a time"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        try:
            if len(value) <= LONGEST_WORD and datetime.fromisoformat(value).year >= 1970:
                return value
        except (TypeError, ValueError):
            pass
        return look.wrong(name, value, self)


@dataclass(frozen=True)
class Whole(Shape):
    """A whole number."""

    low: int = 0
    high: int = LARGEST_WHOLE
    words = "a whole number"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        return value if type(value) is int and self.low <= value <= self.high else look.wrong(name, value, self)


@dataclass(frozen=True)
class Number(Shape):
    """A number that is finite, also in 32 bits."""

    words = "a number"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        fits = type(value) in (int, float) and -LARGEST <= value <= LARGEST
        return value if fits else look.wrong(name, value, self)


@dataclass(frozen=True)
class YesNo(Shape):
    """True or false."""

    words = "true or false"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        return value if type(value) is bool else look.wrong(name, value, self)


@dataclass(frozen=True)
class ListOf(Shape):
    """A list; what does not fit in it is left out."""

    shape: Shape = Text()
    most: int = 100
    words = "a list"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        if type(value) is not list:
            return look.wrong(name, value, self)
        if len(value) > self.most:
            look.damage.cut(look.file, look.line, name, f"{len(value):,} entries where at most {self.most:,} fit; cut")
        found = [
            look.wrong(name, None, self.shape) if item is None else self.shape.held(item, name, look)
            for item in value[: self.most]
        ]
        return [item for item in found if item is not None]


@dataclass(frozen=True)
class Open(Shape):
    """Anything that JSON can say, as long as it is not beyond all measure."""

    deepest: int = 8
    most_values: int = 2000
    most_characters: int = 2 * LONGEST_TEXT
    words = "something less nested"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        return self._inside(value, name, look, [self.most_values, self.most_characters], self.deepest)

    def _inside(self, value: Any, name: str, look: Look, left: list[int], deeper: int) -> Any:
        kind = type(value)
        if kind in (_NONE, bool):
            return value
        if kind is str:
            value = look.text(name, value, LONGEST_TEXT)
            left[1] -= len(value)
            return value
        if kind in (int, float):
            return Number().held(value, name, look)
        if kind not in (list, dict) or deeper == 0:
            return look.wrong(name, value, self)
        found: dict[Any, Any] = {}
        for key, item in value.items() if kind is dict else enumerate(value):
            left[0] -= 1
            left[1] -= len(key) if kind is dict else 0
            if left[0] < 0 or left[1] < 0:
                look.damage.cut(look.file, look.line, name, f"{len(value):,} values are more than fit; cut")
                break
            if kind is dict and not _is_name(key):
                look.wrong(name, key, Text())
                continue
            found[key] = self._inside(item, f"{name}.{key}" if name else str(key), look, left, deeper - 1)
        return found if kind is dict else list(found.values())


@dataclass(frozen=True)
class Fields(Shape):
    """An object: the shape of each of its fields, and that of all others together.

    Args:
        needed: without these it is nothing: where one is missing or does not fit, the whole does not.
    """

    fields: Mapping[str, Shape] = field(default_factory=dict)
    others: Open = Open()
    needed: tuple[str, ...] = ()
    words = "an object"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        if type(value) is not dict:
            return look.wrong(name, value, self)
        found: dict[str, Any] = {}
        others, before = {}, f"{name}." if name else ""
        for key, item in value.items():
            shape = self.fields.get(key)
            if shape is None:
                others[key] = found[key] = item
            else:
                found[key] = None if item is None is shape.blank else shape.held(item, before + key, look)
        if others:
            held = self.others.held(others, name, look)
            found = {key: held.get(key, item) for key, item in found.items() if key not in others or key in held}
        for key in self.needed:
            if found.get(key) is None:
                look.lacking(name, key)
                return copy(self.blank)
        return found


@dataclass(frozen=True)
class Either(Shape):
    """A text or an object."""

    text: Text = Text()
    object: Fields = Fields()
    words = "text"

    def _held(self, value: Any, name: str, look: Look) -> Any:
        return (self.object if type(value) is dict else self.text).held(value, name, look)


def _is_name(key: str) -> bool:
    return len(key) <= LONGEST_WORD and (key.isascii() or key.encode("utf-8", "replace").decode() == key)
