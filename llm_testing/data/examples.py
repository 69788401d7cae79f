"""Rows of every known format as conversations or texts, and what is wrong with those that are neither."""

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llm_testing.config.foreign import names_in_words, printable
from llm_testing.data.rows import Row
from llm_testing.errors import DataError

FORMATS = {
    "chat": "messages: a list of {role, content}",
    "sharegpt": "conversations: a list of {from, value}",
    "alpaca": "instruction, output, and perhaps input",
    "prompt_completion": "prompt, completion",
    "text": "text",
}
_NEEDED = {
    "chat": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "prompt_completion": ("prompt", "completion"),
    "text": ("text",),
}
_ROLES = {
    "system": "system", "user": "user", "assistant": "assistant",
    "human": "user", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant",
}  # fmt: skip
Message = dict[str, str]
"""{"role": system, user or assistant, "content": text}"""


@dataclass(frozen=True)
class Example:
    """What one row teaches: a conversation, or a text.

    Args:
        where: the row's place, for people.
        messages: a conversation that ends with an answer; empty for a text.
    """

    where: str
    messages: tuple[Message, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class RowProblem:
    """A row that cannot be learned from, and why."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where[:1].upper()}{self.where[1:]} {self.message}."


class _Bad(Exception):
    """Why a row is no example."""


def find_format(fields: Iterable[str], columns: dict[str, str]) -> str:
    """The format that rows with these fields have, or would have once their columns are mapped.

    Raises:
        DataError: none; says which fields there are and which would do.
    """
    there = set(_mapped(dict.fromkeys(fields), columns))
    for name, needed in _NEEDED.items():
        if there.issuperset(needed):
            return name
    known = "; ".join(f"{name}: {FORMATS[name]}" for name in FORMATS)
    raise DataError(
        f"Rows with the fields {names_in_words(fields)} are of no known format ({known}). Rename the fields, or "
        "map them with columns, as in instruction=question."
    )


def to_examples(
    rows: Iterable[Row], data_format: str, columns: dict[str, str], system_prompt: str
) -> Iterable[Example | RowProblem]:
    """Every row as an example or a problem, in order.

    Args:
        data_format: one of FORMATS, or "auto" to find it from the first row that has fields.
        columns: the rows' names of our fields.
        system_prompt: put before conversations without one; "" for none.

    Raises:
        DataError: the format cannot be found.
    """
    for row in rows:
        if row.fields is None:
            yield RowProblem(row.where, row.problem)
            continue
        if data_format == "auto":
            data_format = find_format(row.fields, columns)
        try:
            yield _example(row.where, _mapped(row.fields, columns), data_format, system_prompt)
        except _Bad as bad:
            yield RowProblem(row.where, str(bad))


def _mapped(fields: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    renamed = {ours: fields[theirs] for ours, theirs in columns.items() if theirs in fields}
    return {**{name: value for name, value in fields.items() if name not in columns.values()}, **renamed}


def _example(where: str, fields: dict[str, Any], data_format: str, system_prompt: str) -> Example:
    missing = [name for name in _NEEDED[data_format] if name not in fields]
    if missing:
        raise _Bad(f"has no field {missing[0]}; its fields are {names_in_words(fields)}")
    if data_format == "text":
        text = _text(fields, "text")
        if not text.strip():
            raise _Bad("holds no text")
        return Example(where, text=text)
    if data_format == "chat":
        messages = _turns(fields["messages"], "messages", "role", "content")
    elif data_format == "sharegpt":
        messages = _turns(fields["conversations"], "conversations", "from", "value")
    else:
        messages = _asked(fields, data_format)
    if messages[0]["role"] != "system" and (said := _text(fields, "system") or system_prompt):
        messages.insert(0, {"role": "system", "content": said})
    return Example(where, tuple(messages))


def _asked(fields: dict[str, Any], data_format: str) -> list[Message]:
    if data_format == "alpaca":
        question, answer = _text(fields, "instruction"), _text(fields, "output")
        if extra := _text(fields, "input").strip():
            question = f"{question}\n\n{extra}"
        name = "output"
    else:
        question, answer, name = _text(fields, "prompt"), _text(fields, "completion"), "completion"
    if not answer.strip():
        raise _Bad(f"has no answer: its {name} is empty")
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _turns(value: Any, field: str, role_name: str, content_name: str) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise _Bad(f"has no list of turns in {field}")
    messages = []
    for number, turn in enumerate(value, 1):
        if not isinstance(turn, dict):
            raise _Bad(f"has a turn {number} that is not a set of fields")
        # ShareGPT sets come with either pair of names.
        role = turn.get(role_name, turn.get("role"))
        content = turn.get(content_name, turn.get("content"))
        if not isinstance(role, str) or role not in _ROLES:
            raise _Bad(f"has a turn {number} by {printable(reprlib.repr(role), 60)}; known are {', '.join(_ROLES)}")
        if not isinstance(content, str):
            raise _Bad(f"has a turn {number} whose {content_name} is not text but {type(content).__name__}")
        if _ROLES[role] == "system" and number > 1:
            raise _Bad(f"has a system turn in the middle, turn {number}; it may only come first")
        messages.append({"role": _ROLES[role], "content": content})
    if not any(m["role"] == "assistant" and m["content"].strip() for m in messages):
        raise _Bad("has no answer: no turn of the assistant says anything")
    while messages[-1]["role"] != "assistant":
        # A question after the last answer teaches nothing.
        messages.pop()
    return messages


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Bad(f"has a field {name} that is not text but {type(value).__name__}")
    return value
