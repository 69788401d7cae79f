"""Who may do what, where: one table, read by every route and every handler. What is not in it is refused.

A request carries the `Door` it came in by; `role_of` asks that door who is there. A request without a door, or through
one that is not in the table, is nobody's.
"""

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

from llm_testing.data.corpora import find_corpus
from llm_testing.data.uploads import is_upload
from llm_testing.errors import ConfigError, NotAllowed, Problem
from llm_testing.service.places import Place, Setting

DOOR = "llm_testing.door"
"""Where a request's scope keeps its door."""


class Role(IntEnum):
    """Who asks, from the one who may least on."""

    NOBODY = 0
    VIEWER = 1
    GUEST = 2
    OWNER = 3


ACTIONS = {
    "look": "see runs, curves and sample texts",
    "try": "queue the one capped run of a public demo",
    "compute": "generate text, look at attention and estimate memory",
    "start": "start, resume and queue runs",
    "command": "pause, stop, save and sample",
    "arrange": "rename runs and order the queue",
    "delete": "delete and restore runs and checkpoints",
    "download": "download runs, curves and samples",
    "upload": "bring texts, rows and runs from elsewhere",
    "paths": "use and see paths of this machine",
    "fetch": "name a text by its address",
    "push": "send models and backups to the Hub",
    "hub": "name a model or dataset of the Hub",
}
"""Everything that is guarded, in words for a refusal."""

_COMMANDS = frozenset({"look", "compute", "start", "command", "arrange", "delete", "download"})
_VIEWER = {Role.NOBODY: frozenset[str](), Role.VIEWER: frozenset({"look"})}

RIGHTS: dict[Place, dict[Role, frozenset[str]]] = {
    Place.LOCAL: {Role.NOBODY: frozenset(), Role.OWNER: _COMMANDS | {"upload", "paths", "fetch", "hub", "push"}},
    Place.LAN: {**_VIEWER, Role.OWNER: _COMMANDS | {"upload", "fetch", "hub", "push"}},
    Place.SHARE: {**_VIEWER, Role.OWNER: _COMMANDS},
    Place.SPACE: {**_VIEWER, Role.OWNER: _COMMANDS | {"upload", "hub", "push"}},
    Place.DEMO: {**_VIEWER, Role.GUEST: frozenset({"look", "try"}), Role.OWNER: _COMMANDS},
    Place.UNKNOWN: {},
}
"""The table. An address is fetched by this machine, so a stranger with the owner's link must not choose it."""
_MOST_UPLOADED = {Place.LOCAL: 2 * 2**30}
_MOST_UPLOADED_ELSEWHERE = 200 * 2**20


class Door(Protocol):
    """How a request came in."""

    place: Place
    setting: Setting

    def role_of(self, scope: Any) -> Role:
        """Who asks."""


def rights(place: Place, role: Role) -> frozenset[str]:
    """What a role may do in a place; nothing where the table does not say."""
    return RIGHTS.get(place, {}).get(role, frozenset())


def role_of(request: Any) -> Role:
    """Who a request comes from: one of the page's handlers or one of a route."""
    door = door_of(request)
    return Role.NOBODY if door is None else door.role_of(_scope(request))


def door_of(request: Any) -> Door | None:
    """The door that a request came in by, if any."""
    return _scope(request).get(DOOR)


def may(request: Any, action: str) -> bool:
    """Whether who asks may do that here."""
    door = door_of(request)
    return door is not None and action in rights(door.place, door.role_of(_scope(request)))


def most_uploaded(request: Any) -> int:
    """Bytes that a text may hold which is brought here; where others' links lead, it should not fill the disk."""
    return _MOST_UPLOADED.get(getattr(door_of(request), "place", None), _MOST_UPLOADED_ELSEWHERE)


def check(request: Any, action: str) -> None:
    """Refuse what who asks may not do here.

    Raises:
        NotAllowed: naming the action.
    """
    words = ACTIONS[action]
    if may(request, action):
        return
    role = role_of(request)
    if role == Role.NOBODY:
        raise NotAllowed(f"You may not {words} here: open the link that the program printed when it started.", True)
    raise NotAllowed(f"You may not {words} here; its owner may.")


def needs(action: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A handler that checks who asks before it does anything; the request is its first argument.

    Hiding a button is no guard: a handler can be called by its number.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action} is not one of {', '.join(ACTIONS)}")

    def guard(handler: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(handler)
        def guarded(request: Any, *values: Any) -> Any:
            check(request, action)
            return handler(request, *values)

        return guarded

    return guard


def check_corpora(request: Any, values: dict[str, Any]) -> None:
    """Refuse texts that who asks may not name here, all at once.

    Raises:
        ConfigError: naming each option.
    """
    problems = []
    for name in ("corpus", "val_corpus"):
        kind = kind_of_text(values.get(name))
        if kind is not None and not may(request, kind):
            problems.append(Problem(name, f"You may not {ACTIONS[kind]} here. Choose a corpus by its name."))
    if problems:
        raise ConfigError(problems)


def kind_of_text(value: Any) -> str | None:
    """The action that naming a text needs: fetch, hub or paths; None for a plain name."""
    if not isinstance(value, str):
        return None
    if value.lower().startswith(("http://", "https://")):
        return "fetch"
    if value.startswith("hf:"):
        return "hub"
    # Whatever is no named corpus and no upload would be looked for on the disk.
    return None if find_corpus(value) or is_upload(value) else "paths"


def _scope(request: Any) -> Any:
    # Gradio wraps the request in one of its own; a call from Python brings none.
    inner = getattr(request, "request", None) or request
    return getattr(inner, "scope", None) or {}
