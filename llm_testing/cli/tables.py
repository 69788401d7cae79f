"""The options as tables: for a terminal, and as the part of the README that is generated."""

from pathlib import Path

from llm_testing.cli.flags import default_in_words, takes_in_words
from llm_testing.config.option import Option
from llm_testing.errors import NotFound

BEGIN, END = "<!-- options:begin -->", "<!-- options:end -->"


def markdown_tables(options: dict[str, Option]) -> str:
    """A Markdown table for each group of options; it ends with a newline."""
    parts = []
    for group, members in _grouped(options).items():
        rows = [f"| `{o.name}` | {default_in_words(o)} | {takes_in_words(o)} | {o.help} |" for o in members]
        parts.append("\n".join([f"#### {group}", "", "| option | default | takes | what it does |",
                                "| --- | --- | --- | --- |", *rows]))  # fmt: skip
    return "\n\n".join(parts) + "\n"


def plain_tables(options: dict[str, Option]) -> str:
    """The same for a terminal: flag, default, what it takes and what it does."""
    lines = []
    for group, members in _grouped(options).items():
        lines += [group, ""]
        for option in members:
            lines.append(f"  {option.flag}  [{takes_in_words(option)}; default {default_in_words(option)}]")
            lines.append(f"      {option.help}")
        lines.append("")
    return "\n".join(lines)


def rewrite(path: Path, tables: str) -> bool:
    """Put the tables between the markers of a file; returns whether that changed it.

    Raises:
        NotFound: for a file that is not there or has no markers.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"The file {path} cannot be read: {error}.") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NotFound(f"The file {path} has no lines {BEGIN} and {END} to put the tables between.")
    new = f"{before}{BEGIN}\n\n{tables}\n{END}{after}"
    if new != text:
        path.write_text(new, encoding="utf-8")
    return new != text


def _grouped(options: dict[str, Option]) -> dict[str, list[Option]]:
    groups: dict[str, list[Option]] = {}
    for option in options.values():
        groups.setdefault(option.show.group, []).append(option)
    return groups
