"""Where the page stands: on this machine, in its network, behind a share link, on a Space. Unknown places are refused.

What each place lets whom do is the table in roles.py.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
_OFF = ("", "0", "false", "no", "off")
_DATA = Path("/data")
"""Where a Space's storage is mounted, if it has any."""
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


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
        notices: what whoever opens the page should know about the place.
    """

    place: Place
    server_name: str = "127.0.0.1"
    hosts: tuple[str, ...] = ()
    owner_ids: frozenset[str] = frozenset()
    require_token: bool = False
    signs_in: bool = False
    notices: tuple[str, ...] = ()

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
    if on_a_space(environ):
        return _space(environ)
    address = (server_name or environ.get("GRADIO_SERVER_NAME", "")).strip().lower()
    if share or _is_on(environ, "GRADIO_SHARE"):
        # A share link and the network together would be two places at once, and no row of the table is for that.
        return Setting(Place.SHARE) if address in ("", *LOCAL_NAMES) else Setting(Place.UNKNOWN, address)
    if address in ("", *LOCAL_NAMES):
        return Setting(Place.LOCAL, require_token=require_token)
    if environ.get("LLM_TESTING_PROFILE"):
        return Setting(Place.UNKNOWN, address)  # a profile belongs to a Space; what was meant is not known
    names = {name.strip().lower() for name in machine_names if name.strip()}
    return Setting(Place.LAN, address, tuple(sorted({address, *names, *(f"{n}.local" for n in names)})))


def on_a_space(environ: Mapping[str, str]) -> bool:
    """Whether this process runs on a Hugging Face Space."""
    return environ.get("SYSTEM") == "spaces" or bool(environ.get("SPACE_ID"))


def _space(environ: Mapping[str, str]) -> Setting:
    profile = environ.get("LLM_TESTING_PROFILE", "").strip().lower()
    place = {"": Place.SPACE, "public-demo": Place.DEMO}.get(profile, Place.UNKNOWN)
    owners = {name.strip() for name in environ.get("LLM_TESTING_OWNERS", "").split(",")}
    author = environ.get("SPACE_AUTHOR_NAME", "").strip()
    # With a domain of its own a Space has two names, with a comma between them.
    hosts = (host.strip() for host in environ.get("SPACE_HOST", "").lower().split(","))
    return Setting(
        place,
        "0.0.0.0",  # a Space's container is reached from outside, and by nothing else
        hosts=tuple(host for host in hosts if host),
        owner_ids=frozenset(owners | {author}) - {""},
        # Where Gradio sees no Space it signs everybody in as the account of this machine's token, to try things out.
        signs_in=environ.get("SYSTEM") == "spaces" and all(environ.get(name) for name in _SIGN_IN),
    )


_SIGN_IN = ("SPACE_ID", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""What a Space's environment holds where its README says hf_oauth: true."""


def why_refused(setting: Setting, environ: Mapping[str, str]) -> str | None:
    """One sentence why the page does not start, as its rules could not be kept, or None where it may."""
    if setting.place == Place.UNKNOWN and on_a_space(environ):
        profile = ascii(environ.get("LLM_TESTING_PROFILE", ""))
        return f"LLM_TESTING_PROFILE is public-demo or absent on a Space; received {profile}, for which no rules exist."
    if setting.place == Place.UNKNOWN and environ.get("LLM_TESTING_PROFILE"):
        return "LLM_TESTING_PROFILE belongs to a Space, and this is none. Leave it out, or do not name an address."
    if setting.place == Place.UNKNOWN:
        return (
            f"A share link and the address {ascii(setting.server_name)} are two places with different rules. Ask for "
            "one of them: --share (GRADIO_SHARE), or --server-name (GRADIO_SERVER_NAME)."
        )
    held = [name for name in _TOKENS if environ.get(name)]
    if setting.place == Place.DEMO and held:
        return f"Every visitor of a public demo would act with the token in {held[0]}. Remove that secret of the Space."
    return None


def runs_dir_of(environ: Mapping[str, str], otherwise: Path, data: Path = _DATA) -> Path:
    """Where runs are kept: on a Space in its storage, if it has any that can be written to."""
    if on_a_space(environ) and data.is_dir() and os.access(data, os.W_OK | os.X_OK):
        return data / "runs"
    return otherwise


def notices(setting: Setting, environ: Mapping[str, str], runs_dir: Path, data: Path = _DATA) -> tuple[str, ...]:
    """What whoever opens the page should know about the place, as sentences."""
    if setting.place not in (Place.SPACE, Place.DEMO):
        return ()
    said = []
    if setting.place == Place.DEMO:
        said.append("This is a public demo: anybody may queue one small run of at most three minutes.")
    if not runs_dir.is_relative_to(data):
        said.append(
            "This Space has no storage: its runs vanish when it restarts or sleeps. Download them before, and restore "
            "them from the zip; or back them up to a private dataset of yours, with a token that may write as the "
            "secret HF_TOKEN of the Space; or attach storage at /data in its settings."
        )
    if _is_on(environ, "SPACES_ZERO_GPU"):
        said.append(
            "This Space has ZeroGPU, which lends a GPU for single calls of some seconds. Training goes on in the "
            "background for longer than that, so it runs on the CPU here. Choose a Space with a GPU of its own, or CPU."
        )
    if not setting.signs_in and setting.place == Place.SPACE:
        said.append(
            "Signing in is off, so nobody can prove to be the owner and everybody may only look. Put hf_oauth: true "
            "into the header of the Space's README."
        )
    return tuple(said)


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in _OFF
