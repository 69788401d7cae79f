"""The options as tables: for a terminal, and as the part of the README that is generated."""

from pathlib import Path

from llm_testing.cli.flags import default_in_words, takes_in_words
from llm_testing.config.option import Option
from llm_testing.config.presets import Preset
from llm_testing.errors import NotFound


def markdown_tables(options: dict[str, Option]) -> str:
    """A Markdown table for each group of options; it ends with a newline."""
    parts = []
    for group, members in _grouped(options).items():
        rows = [f"| `{o.name}` | {default_in_words(o)} | {takes_in_words(o)} | {o.help} |" for o in members]
        parts.append("\n".join([f"### {group}", "", "| option | default | takes | what it does |",
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


def preset_table(presets: dict[str, Preset]) -> str:
    """A Markdown table of the presets."""
    rows = [f"| {preset.title} | `{name}` | {preset.about} |" for name, preset in presets.items()]
    return "\n".join(["| preset | `--preset` | what it is for |", "| --- | --- | --- |", *rows]) + "\n"


def rewrite(path: Path, tables: dict[str, str]) -> bool:
    """Put each table that a file has markers for between them; returns whether that changed the file.

    Args:
        tables: by the name in their markers, as in `<!-- options:begin -->`.

    Raises:
        NotFound: for a file that is not there, or that lacks a marker's other half or all of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"The file {path} cannot be read: {error}.") from None
    new = text
    marked = {name: table for name, table in tables.items() if f"<!-- {name}:" in text}
    for name, table in (marked or tables).items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, found, rest = new.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found or not found_end:
            raise NotFound(f"The file {path} has no lines {begin} and {end} to put a table between.")
        new = f"{before}{begin}\n{table}{end}{after}"
    if new != text:
        path.write_text(new, encoding="utf-8")
    return new != text


def _grouped(options: dict[str, Option]) -> dict[str, list[Option]]:
    groups: dict[str, list[Option]] = {}
    for option in options.values():
        groups.setdefault(option.show.group, []).append(option)
    return groups
