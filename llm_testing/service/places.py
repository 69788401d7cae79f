"""Where the page stands: on this machine, in its network, behind a share link, on a Space. Unknown places are refused.

What each place lets whom do is the table in roles.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
_OFF = ("", "0", "false", "no", "off")
_WHY = "it has no owner's login yet, so whoever can reach it could start, stop and delete runs"
_DO = "Start `python app.py` on your own machine; it answers on 127.0.0.1 only."


class Place(StrEnum):
    """The places that have rules."""

    LOCAL = "local"
    LAN = "lan"
    SHARE = "share"
    SPACE = "space"
    DEMO = "public-demo"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Setting:
    """A place with what its door must know.

    Args:
        server_name: the address to listen on.
        hosts: names by which it may be asked, in lower case, beside this machine's own and plain addresses.
        owner_ids: on a Space, the ids and names of the accounts that own it.
        require_token: ask for the owner's token on this machine too.
        signs_in: a Space whose sign-in is set up; without it nobody can prove to be the owner.
    """

    place: Place
    server_name: str = "127.0.0.1"
    hosts: tuple[str, ...] = ()
    owner_ids: frozenset[str] = frozenset()
    require_token: bool = False
    signs_in: bool = False

    @property
    def has_tokens(self) -> bool:
        """Whether the owner is known by a token."""
        return self.place in (Place.LAN, Place.SHARE) or self.place == Place.LOCAL and self.require_token


def setting_of(
    environ: Mapping[str, str],
    *,
    share: bool = False,
    server_name: str | None = None,
    require_token: bool = False,
    machine_names: Iterable[str] = (),
) -> Setting:
    """The place that was asked for.

    Args:
        environ: the process's environment; a Space and Gradio's own switches are known by it.
        share: a share link was asked for.
        server_name: an address that was asked for.
        machine_names: names that this machine has in its network.
    """
    if environ.get("SYSTEM") == "spaces" or environ.get("SPACE_ID"):
        return _space(environ)
    if share or environ.get("GRADIO_SHARE", "").strip().lower() not in _OFF:
        return Setting(Place.SHARE)
    address = (server_name or environ.get("GRADIO_SERVER_NAME", "")).strip().lower()
    if address in ("", *LOCAL_NAMES):
        return Setting(Place.LOCAL, require_token=require_token)
    if environ.get("LLM_TESTING_PROFILE"):
        return Setting(Place.UNKNOWN, address)  # a profile belongs to a Space; what was meant is not known
    names = {name.strip().lower() for name in machine_names if name.strip()}
    return Setting(Place.LAN, address, tuple(sorted({address, *names, *(f"{n}.local" for n in names)})))


def _space(environ: Mapping[str, str]) -> Setting:
    profile = environ.get("LLM_TESTING_PROFILE", "").strip().lower()
    place = {"": Place.SPACE, "public-demo": Place.DEMO}.get(profile, Place.UNKNOWN)
    owners = {name.strip() for name in environ.get("LLM_TESTING_OWNERS", "").split(",")}
    host, author = environ.get("SPACE_HOST", "").strip().lower(), environ.get("SPACE_AUTHOR_NAME", "").strip()
    return Setting(
        place,
        "0.0.0.0",  # a Space's container is reached from outside, and by nothing else
        hosts=(host,) if host else (),
        owner_ids=frozenset(owners | {author}) - {""},
        signs_in=bool(environ.get("OAUTH_CLIENT_ID") and environ.get("OAUTH_CLIENT_SECRET")),
    )


def why_refused(environ: Mapping[str, str], *, share: bool = False, server_name: str | None = None) -> str | None:
    """One sentence why the page does not start in this place, or None where it may."""
    setting = setting_of(environ, share=share, server_name=server_name)
    if setting.place == Place.LOCAL:
        return None
    if environ.get("SYSTEM") == "spaces" or environ.get("SPACE_ID"):
        return f"The page does not run on a Space yet: {_WHY}. {_DO}"
    if setting.place == Place.SHARE:
        asked = "--share" if share else "GRADIO_SHARE"
        return f"A share link ({asked}) is not offered yet: {_WHY}. Leave {asked} out. {_DO}"
    asked = "--server-name" if server_name else "GRADIO_SERVER_NAME"
    return f"The address {setting.server_name!r} ({asked}) is not offered yet: {_WHY}. Leave {asked} out. {_DO}"
