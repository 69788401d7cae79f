"""The share link: a tunnel from a public address to this machine, or words why there is none."""

import subprocess
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import httpx
from gradio import networking, tunneling

from llm_testing.jobs.threads import start_thread

REACHED_WITHIN_S = 8.0
OPEN_WITHIN_S = 90.0
"""The tunnel's program is downloaded once, about 12 MB."""
ENDS_WITHIN_S = 5.0
LASTS = "Share links last a week at most, and end with this program."


class NoLink(Exception):
    """Why there is no share link, as a sentence."""


def open_tunnel(port: int, token: str) -> str:
    """The public address of a tunnel to 127.0.0.1:port.

    Raises:
        NoLink: with the reason, at once where there is no network.
    """
    if networking.GRADIO_SHARE_SERVER_ADDRESS is None:
        try:
            httpx.get(networking.GRADIO_API_SERVER, timeout=REACHED_WITHIN_S)
        except httpx.HTTPError as error:
            raise NoLink(f"the share server could not be reached ({type(error).__name__})") from None
    found: list[str | Exception] = []
    done = threading.Event()

    def ask() -> None:
        try:
            found.append(networking.setup_tunnel("127.0.0.1", port, token, None, None))
        except Exception as error:  # the thread's boundary: whatever goes wrong in there is only a missing link here
            found.append(error)
        done.set()

    start_thread("share link", ask)
    if not done.wait(OPEN_WITHIN_S):
        close_tunnels()
        raise NoLink(f"the share server did not answer within {OPEN_WITHIN_S:.0f} s")
    if isinstance(found[0], Exception):
        close_tunnels()
        raise NoLink(str(found[0]).strip().splitlines()[0] if str(found[0]).strip() else type(found[0]).__name__)
    return urlunsplit(("https", *urlsplit(found[0])[1:]))


def close_tunnels() -> None:
    """End the tunnels' processes: they would outlive this one."""
    for tunnel in tunneling.CURRENT_TUNNELS:
        if tunnel.proc is not None:
            tunnel.proc.terminate()
            with suppress(subprocess.TimeoutExpired):
                tunnel.proc.wait(ENDS_WITHIN_S)
