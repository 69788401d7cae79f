"""A request's Host as a name and a port, by the grammar of RFC 9110 and only in the forms that a browser sends.

A lenient reader is a hole: one that skips user information takes `evil.example@127.0.0.1` for this machine, one that
skips what follows a bracket takes `[::1].evil.example` for it.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?))"
                   r"(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII)  # fmt: skip
_NUMERIC = re.compile(r"[0-9.]+|0x[0-9a-f.x]*", re.ASCII)
"""What a browser would have turned into a plain address before sending it."""
HTTP_PORT = 80


def parse_host(text: str) -> tuple[str, int] | None:
    """The host in lower case, an IPv6 address without its brackets, and the port; None for anything else.

    Refused are an empty text, user information, a path, a query, percent signs, zones, white space, an empty port or
    one with leading zeros, anything behind a bracket, dots at either end or side by side, and numbers that are no
    address in four plain parts.

    Source: RFC 9110, section 7.2; RFC 3986, section 3.2.2.
    """
    found = _HOST.fullmatch(text.lower())
    if found is None or int(found["port"] or HTTP_PORT) > 65_535:
        return None
    name = found["v6"] or found["name"]
    try:
        if found["v6"]:
            IPv6Address(name)
        elif _NUMERIC.fullmatch(name):
            IPv4Address(name)
    except AddressValueError:
        return None
    return None if ".." in name else (name, int(found["port"] or HTTP_PORT))


def is_address(name: str) -> bool:
    """Whether a parsed host is an address, which nobody can rebind, and no name."""
    return ":" in name or _NUMERIC.fullmatch(name) is not None
