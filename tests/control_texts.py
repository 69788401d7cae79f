"""Text that takes a terminal over or lies about what stands there, for every place where foreign text is shown."""

import unicodedata

HOSTILE = {
    "colours": "\x1b[31;7mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\safe.example\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4K\x07",
    "cursor": "\x1b[2J\x1b[1;1H\x1b[8m",
    "C1 sequences": "\x9b31m\x9d0;owned\x9c\x85",
    "line written over": "failed\rcompleted",
    "backspaces": "evil\b\b\b\bgood\x7f",
    "paste ended": "\x1b[201~\nrm -rf ~\n",
    "keys": "\x03\x04\x1a",
    "bidi override": "\u202egpj.exe\u202c\u202d\u202a\u202b",
    "bidi isolate": "\u2066\u2067\u2068\u2069",
    "bidi marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u2060c\ufeffd\u00ad",
    "separators": "one\u2028two\u2029three\x0b\x0c\x1c\x1d\x1e\x1f",
    "tags": "\U000e0041\U000e0001",
}
"""By what each does; none has NUL or half a surrogate pair, which no run folder can hold."""
EVERYTHING = " ".join(HOSTILE.values())
UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")
JOINERS = "\u200c\u200d"


def raw_controls(text: str, laid_out: str = "\n\t") -> list[str]:
    """What of a text would act on a terminal instead of being shown, but for what lays text out."""
    return sorted({ascii(c) for c in text if unicodedata.category(c) in UNSAFE and c not in laid_out})
