"""Foreign text inside Markdown, where it is shown and nothing else: in model cards and in TensorBoard's texts.

Both make pages of it, in which an image would tell its server who looks, and a line break begin a heading or a row.
"""

import re

from llm_testing.config.escapes import LAYOUT, escape_controls

_BY_BACKSLASH = re.compile(r"[\\`*\[\]|]")
_BY_ENTITY = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown_text(value: object) -> str:
    """A value as text in a line or in a cell of a table."""
    text = _BY_BACKSLASH.sub(r"\\\g<0>", escape_controls(str(value)))
    return "".join(_BY_ENTITY.get(c, c) for c in text)


def markdown_block(text: str) -> str:
    """A text of any number of lines as a block of code, whose fence is longer than any in it."""
    longest = max((len(fence) for fence in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{escape_controls(text, LAYOUT)}\n{fence}"
