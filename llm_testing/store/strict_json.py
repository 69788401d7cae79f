"""JSON as the run folders hold it: what is written can be read by every parser, and what is read has been checked.

Python's json writes NaN, reads 1e400 as infinity, and answers odd input with five kinds of exception. Here it is one.
"""

import json
import math
import re
from collections.abc import Callable

import orjson

# Only text that holds one of these needs the slow, strict parse: integers that may not fit, large powers, NaN, halves
# of surrogate pairs. Digits behind a point are many and harmless.
_SUSPECT = re.compile(rb"[^.0-9][0-9]{19}|[eE]\+?[0-9]{3}|NaN|Infinity|\\u[dD][89a-fA-F]")


def json_bytes(value: dict, indent: int | None = None) -> bytes:
    """UTF-8 JSON. Half a surrogate pair, which a web form can send and no UTF-8 file can hold, becomes "?"."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode("utf-8", errors="replace")


def parse_json(data: bytes) -> dict:
    """The JSON object in data.

    Raises:
        ValueError: with the reason, also for what json lets pass and others stumble over: NaN, 1e400, integers beyond
            64 bits, halves of surrogate pairs, nesting without end, values that are no object.
    """
    return _object(_parse_with(data, _parse_strictly) if _SUSPECT.search(data) else _parse_fast(data))


def _parse_with(data: bytes, parse: Callable[[str], object]) -> object:
    """What parse gives; every kind of exception is one."""
    try:
        return parse(data.decode("utf-8"))
    except UnicodeError as error:
        raise ValueError(f"it is not UTF-8 text ({error.reason})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} at line {error.lineno}, column {error.colno})") from error


def _object(value: object) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"it holds a JSON {type(value).__name__} where an object is expected")
    return value


class Unfit(str):
    """The digits of a number that JSON can say and nobody can use: NaN, 1e400, a thousand digits."""


def parse_any_numbers(data: bytes) -> dict:
    """The JSON object in data, an `Unfit` in place of each number that is not finite: for what is looked at afterwards.

    A number of one field then costs the others nothing. Halves of surrogate pairs stay in texts, and integers beyond
    64 bits become floats.

    Raises:
        ValueError: with the reason, for what is no JSON object.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _parse_with(data, lambda text: json.loads(text, parse_int=_int_or_float, parse_float=_float_or_unfit,
                                                          parse_constant=Unfit))  # fmt: skip
    return _object(value)


def _int_or_float(digits: str) -> int | float | Unfit:
    return int(digits) if len(digits) < 19 else _float_or_unfit(digits)


def _float_or_unfit(digits: str) -> float | Unfit:
    value = float(digits)
    return value if math.isfinite(value) else Unfit(digits[:24])


def _parse_fast(data: bytes) -> object:
    """A third of the time that json takes; what orjson refuses is left to json, whose words say why."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_with(data, json.loads)


def _parse_strictly(text: str) -> object:
    value = json.loads(text, parse_int=_int_64, parse_float=_finite, parse_constant=_finite)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _int_64(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (value := int(digits)) < 2**63:
        raise ValueError(f"the integer {digits[:24]}... does not fit 64 bits")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")) or value != value:
        raise ValueError(f"the number {digits[:24]} is not finite")
    return value
