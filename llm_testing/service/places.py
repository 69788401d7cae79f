"""Where the page may be opened from. Only this machine so far; every other place is refused with the reason."""

from collections.abc import Mapping

LOCAL = ("", "127.0.0.1", "localhost", "::1")
_OFF = ("", "0", "false", "no", "off")
_WHY = "it has no owner's login yet, so whoever can reach it could start, stop and delete runs"
_DO = "Start `python app.py` on your own machine; it answers on 127.0.0.1 only."


def why_refused(environ: Mapping[str, str], *, share: bool = False, server_name: str | None = None) -> str | None:
    """One sentence why the page does not start in this place, or None where it may.

    Args:
        environ: the process's environment; a Space and Gradio's own switches are known by it.
        share: a share link was asked for.
        server_name: an address that was asked for.
    """
    if environ.get("SYSTEM") == "spaces" or environ.get("SPACE_ID"):
        return f"The page does not run on a Space yet: {_WHY}. {_DO}"
    if share or environ.get("GRADIO_SHARE", "").lower() not in _OFF:
        asked = "--share" if share else "GRADIO_SHARE"
        return f"A share link ({asked}) is not offered yet: {_WHY}. Leave {asked} out. {_DO}"
    address = server_name or environ.get("GRADIO_SERVER_NAME", "")
    if address not in LOCAL:
        asked = "--server-name" if server_name else "GRADIO_SERVER_NAME"
        return f"The address {address!r} ({asked}) is not offered yet: {_WHY}. Leave {asked} out. {_DO}"
    return None
