"""The doors of a place: how its owner and its viewers are told apart.

On this machine the gate lets only its own browser and scripts in, and they are the owner's. In a network and behind a
share link a request's address proves nothing, so there are two secret tokens: whoever opens the owner's link is the
owner, whoever opens the viewer's may look. On a Space the sign-in says who it is.
"""

import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

from llm_testing.service.budgets import Budgets, Logins
from llm_testing.service.places import Place, Setting
from llm_testing.service.roles import Role

ENTRY = "/enter"
"""The address of a token link: /enter?token=..."""
_ACCOUNT_ID = re.compile("[0-9a-f]{24}")
"""The Hub's id of an account, which stays with it when its name changes."""


@dataclass(frozen=True)
class TokenDoor:
    """The door of a setting; the tokens are made with it and die with the process.

    Args:
        budgets: what those who came in by it hold of the server.
        logins: who tried wrong tokens.
    """

    setting: Setting
    owner_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    viewer_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    budgets: Budgets = field(default_factory=Budgets, repr=False, compare=False)
    logins: Logins = field(default_factory=Logins, repr=False, compare=False)

    @property
    def place(self) -> Place:
        """Where this is."""
        return self.setting.place

    def role_of(self, scope: Any) -> Role:
        """Who asks, by what the request carries."""
        if self.setting.has_tokens:
            return max(map(self.role_of_token, _tokens(scope, self.cookie_name(scope))), default=Role.NOBODY)
        if self.place == Place.LOCAL:
            return Role.OWNER
        if self.place in (Place.SPACE, Place.DEMO):
            stranger = Role.GUEST if self.place == Place.DEMO else Role.VIEWER
            return Role.OWNER if self._signed_in_owner(scope) else stranger
        return Role.NOBODY

    def role_of_token(self, token: str) -> Role:
        """Whose token it is."""
        given = token.encode("utf-8", "replace")
        if hmac.compare_digest(given, self.owner_token.encode()):
            return Role.OWNER
        if hmac.compare_digest(given, self.viewer_token.encode()):
            return Role.VIEWER
        return Role.NOBODY

    def links(self, url: str) -> dict[str, str]:
        """The owner's and the viewer's link to a page at url."""
        tokens = {"owner": self.owner_token, "viewer": self.viewer_token}
        return {who: f"{url.rstrip('/')}{ENTRY}?token={token}" for who, token in tokens.items()}

    def cookie_name(self, scope: Any) -> str:
        """Cookies know no ports, so the port is in the name: two labs on one machine do not log each other out."""
        return f"llm_testing_{scope.get('server', ('', 0))[1]}"

    def _signed_in_owner(self, scope: Any) -> bool:
        if not self.setting.signs_in:
            return False  # without its secret a session's signature proves nothing
        session = scope.get("session")
        info = session.get("oauth_info") if isinstance(session, Mapping) else None
        user, until = (info.get("userinfo"), info.get("expires_at")) if isinstance(info, Mapping) else (None, None)
        # Turned round, as nothing is greater than a time that is no number.
        if not isinstance(user, Mapping) or not isinstance(until, int | float) or not until > time.time():
            return False
        return any(_is_account(owner, user) for owner in self.setting.owner_ids)


def _is_account(owner: str, user: Mapping[str, Any]) -> bool:
    """Whether an account is the one that an owner's id or name means.

    Its name is chosen by whoever has it and may look like an id, so an id is compared with ids alone.
    """
    return user.get("sub" if _ACCOUNT_ID.fullmatch(owner) else "preferred_username") == owner


def _tokens(scope: Any, cookie_name: str) -> list[str]:
    """Every token that a request carries: bearer headers and our cookie."""
    found = []
    for name, value in scope.get("headers", ()):
        text = value.decode("latin-1")
        if name.lower() == b"authorization" and text[:7].lower() == "bearer ":
            found.append(text[7:].strip())
        elif name.lower() == b"cookie":
            try:
                morsel = SimpleCookie(text).get(cookie_name)
            except CookieError:
                continue
            if morsel:
                found.append(morsel.value)
    return found
