"""Foreign text as it may be shown: what stands in runs, models and datasets, which anybody may have written.

Printed raw, ESC and its like recolour, retitle and clear a terminal or fill its clipboard, a carriage return writes
over what stood there, and marks that turn or hide text make one name look like another (Unicode TR 36 and UAX 9).
"""

import unicodedata

_ACTS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of what acts instead of being seen: controls, formats (bidi, zero width, tags), halves of
surrogate pairs, separators of lines and paragraphs."""
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
LAYOUT = "\n\t\u200c\u200d"
"""What lays out a text of several lines, and the two joiners by which Persian words and some emoji are written."""


def escape_controls(text: str, keep: str = "") -> str:
    r"""Text in which nothing acts on a terminal: each control is spelt as in Python, as \x1b or \u202e.

    Backslashes stay as they are, so it is for people to read and not to be undone; escaping it again changes nothing.

    Args:
        keep: which may stay; none where a value is one line, LAYOUT where it is a text.
    """
    if text.isprintable():
        return text
    return "".join(_spelling(c) if c not in keep and acts(c) else c for c in text)


def acts(char: str) -> bool:
    """Whether a character acts on what shows it."""
    return unicodedata.category(char) in _ACTS


def _spelling(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
