"""What is wrong with the files of a run, counted, and the first places in words: told wherever the run is shown."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

MOST_PLACES = 20
_SAID = 4
"""Places that the sentence names."""
_SHOWN = 40


@dataclass(frozen=True)
class Place:
    """One field of a file that is damaged.

    Args:
        field: as in config.learning_rate; "" for a whole line, or a whole file.
        line: the first one, counted from 1; from the end, below 0, where only the end was looked at; None in a file
            that has no lines.
        found: what stood there first, and what would be right.
        count: how many times it was met.
    """

    file: str
    field: str
    line: int | None
    found: str
    count: int = 1

    def in_words(self) -> str:
        """ "metrics.jsonl, line 3, train_loss: text 'abc' where a number belongs"."""
        parts = (self.file, _line_in_words(self.line), self.field)
        where = ", ".join(part for part in parts if part)
        return f"{where}: {self.found}{f' ({self.count:,} times)' if self.count > 1 else ''}"


class Damage:
    """Collects what does not fit. Of one thread at a time; whoever hands it on gives a `copy`."""

    def __init__(self) -> None:
        self.num_values = self.num_cut = self.num_lines = 0
        self._places: dict[tuple[str, str], Place] = {}

    def __bool__(self) -> bool:
        return bool(self.num_values or self.num_cut or self.num_lines)

    @property
    def places(self) -> list[Place]:
        """The first fields that were met, each once."""
        return list(self._places.values())

    def in_field(self, field: str) -> bool:
        """Whether a field, or one inside it, is among the first places."""
        return any(place.field == field or place.field.startswith(f"{field}.") for place in self._places.values())

    def wrong(self, file: str, line: int | None, field: str, value: object, right: str) -> None:
        """A value that cannot be used."""
        self.num_values += 1
        self._add(Place(file, field, line, f"{described(value)} where {right} belongs"))

    def cut(self, file: str, line: int | None, field: str, found: str) -> None:
        """A value that is too long, of which only the beginning is kept."""
        self.num_cut += 1
        self._add(Place(file, field, line, found))

    def skipped(self, file: str, line: int, why: str = "it cannot be read and was skipped", times: int = 1) -> None:
        """A line that cannot be used."""
        self.num_lines += times
        self._add(Place(file, "", line, why, times))

    def _add(self, place: Place) -> None:
        key = (place.file, place.field)
        if (known := self._places.get(key)) is not None:
            self._places[key] = replace(known, count=known.count + place.count)
        elif len(self._places) < MOST_PLACES:
            self._places[key] = place

    def with_others(self, others: Iterable["Damage"]) -> "Damage":
        """This and others together."""
        found = self.copy()
        for other in others:
            found.num_values += other.num_values
            found.num_cut += other.num_cut
            found.num_lines += other.num_lines
            for place in other.places:
                found._add(place)
        return found

    def copy(self) -> "Damage":
        """The same as it is now."""
        return Damage.of(self.as_record())

    def in_words(self) -> str | None:
        """One sentence, or None where nothing is wrong."""
        if not self:
            return None
        parts = []
        if self.num_values:
            parts.append(f"{_times(self.num_values, 'value')} cannot be used")
        if self.num_lines:
            parts.append(f"{_times(self.num_lines, 'line')} cannot be read")
        if self.num_cut:
            parts.append(f"{_times(self.num_cut, 'value')} too long and cut")
        places = "; ".join(place.in_words() for place in self.places[:_SAID])
        more = "" if len(self._places) <= _SAID else "; and more"
        return f"Of its files {', '.join(parts)}. {places}{more}."

    def as_record(self) -> dict[str, Any]:
        """The same as JSON has it."""
        places = [asdict(place) for place in self.places]
        return {"values": self.num_values, "lines": self.num_lines, "cut": self.num_cut, "places": places}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Damage":
        """What `as_record` gave."""
        found = cls()
        found.num_values, found.num_lines, found.num_cut = record["values"], record["lines"], record["cut"]
        for place in record["places"]:
            found._add(Place(**place))
        return found


def _line_in_words(line: int | None) -> str:
    if line is None:
        return ""
    return f"line {line:,}" if line > 0 else f"line {-line:,} from its end"


def _times(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def described(value: object) -> str:
    """What a value is, in a few words that can be shown anywhere."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}"
    if type(value) is str:
        return f"text {ascii(value[:_SHOWN])}{'...' if len(value) > _SHOWN else ''}"
    return f"the number {str(value)[:_SHOWN]}"
