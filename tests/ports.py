"""Ports that no other process of the tests is given, and that the system gives to no connection of a client."""

import itertools
import os
import socket

# Below 32768, where Linux begins to take the near ends of connections from; a hundred for each process of the tests.
_NEXT = itertools.count(10_000 + os.getpid() % 200 * 100)


def free_port() -> int:
    """A port of this machine that nothing listens on, another one each time."""
    for port in _NEXT:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
