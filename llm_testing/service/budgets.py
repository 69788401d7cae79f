"""What each role may have of this server at a time: one table, so that whoever looks on cannot starve the owner.

Everything that is counted is taken and given back in one step each: nothing is looked at first and counted later.
The shares of different roles are apart, so an owner is never refused, and never waits, because of viewers.
"""

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple

from llm_testing.errors import TooMany
from llm_testing.service.places import Place
from llm_testing.service.roles import Role

MIB = 2**20


class Kind(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    WAITING = "waiting"
    STREAMS = "streams"
    PAGES = "pages"
    JOINS = "joins"
    UPLOADS = "uploads"
    DOWNLOADS = "downloads"


ABOUT = {
    Kind.REQUESTS: "requests that are being answered",
    Kind.WAITING: "requests that wait for one of those",
    Kind.STREAMS: "event streams",
    Kind.PAGES: "connections that an open page keeps",
    Kind.JOINS: "calls of the page's handlers that wait, or whose answer was not fetched",
    Kind.UPLOADS: "uploads",
    Kind.DOWNLOADS: "downloads",
}
RETRY_AFTER_S = {Kind.REQUESTS: 1, Kind.WAITING: 1, Kind.STREAMS: 5, Kind.PAGES: 5, Kind.JOINS: 2, Kind.UPLOADS: 5,
                 Kind.DOWNLOADS: 5}  # fmt: skip


class Share(NamedTuple):
    """How many at once: of all clients of a role together, and of one of them."""

    together: int
    a_client: int


@dataclass(frozen=True)
class Budget:
    """What a role may have.

    Args:
        shares: by kind; nothing of what is not named.
        body_bytes: of a request's body that is no file.
    """

    shares: Mapping[Kind, Share]
    body_bytes: int


_LOOKS = Budget(
    {
        # A page loads by six connections at a time; those of a classroom may come from one address.
        Kind.REQUESTS: Share(16, 8),
        Kind.WAITING: Share(256, 96),
        Kind.STREAMS: Share(64, 16),
        Kind.PAGES: Share(256, 128),
        Kind.JOINS: Share(16, 8),
    },
    body_bytes=64 * 2**10,
)
BUDGETS = {
    Role.OWNER: Budget(
        {
            Kind.REQUESTS: Share(128, 128),
            Kind.WAITING: Share(512, 512),
            Kind.STREAMS: Share(64, 64),
            Kind.PAGES: Share(256, 256),
            Kind.JOINS: Share(256, 256),
            Kind.UPLOADS: Share(4, 4),
            Kind.DOWNLOADS: Share(8, 8),
        },
        body_bytes=2 * MIB,
    ),
    Role.GUEST: _LOOKS,
    Role.VIEWER: _LOOKS,
    Role.NOBODY: Budget({Kind.REQUESTS: Share(16, 8), Kind.WAITING: Share(64, 32)}, body_bytes=0),
}
"""The table. Uploads and downloads are rights of the owner's alone, so others have no share of them."""
JOIN_SHARE = "llm_testing.join"
"""Where the scope of a call of the page's handlers keeps its share, until the queue takes it over."""
LOGINS_A_MINUTE = 20
"""Wrong tokens of one client before its next wrong one is told to wait; a right one is let in at once, always."""
_MINUTE_S = 60.0
_MOST_CLIENTS = 1024


class Slot:
    """Something that was taken, as a context manager; it is given back once, however often that is asked."""

    def __init__(self, give_back: Callable[[], None]):
        self._give_back: Callable[[], None] | None = give_back

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    @property
    def is_held(self) -> bool:
        """Whether it was not given back yet."""
        return self._give_back is not None

    def handed_on(self) -> "Slot":
        """The same in another's hands: what held it until now gives nothing back any more."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            raise ValueError("This was given back, or handed on, already.")
        return Slot(give_back)

    def release(self) -> None:
        """Give it back."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Budgets:
    """What is taken of a table now, by role and client. Threads may share it.

    Args:
        table: the budget of each role; what a role has none of it may not have.
    """

    def __init__(self, table: Mapping[Role, Budget] = BUDGETS):
        self.table = table
        self._guard = threading.Lock()
        self._taken: Counter[tuple] = Counter()
        self._lines: dict[Role, deque[tuple[str, asyncio.Future[Slot]]]] = {role: deque() for role in Role}

    def take(self, kind: Kind, role: Role, client: str) -> Slot:
        """Take one, in one step.

        Raises:
            TooMany: the role, or this client, has as many as it may; says when to ask again.
        """
        slot, share = self._try(kind, role, client), self._share(kind, role)
        if slot is None:
            raise TooMany(
                f"There are {share.together} {ABOUT[kind]} at once at most here, and {share.a_client} from one place. "
                "Wait until one has ended.", RETRY_AFTER_S[kind],
            )  # fmt: skip
        return slot

    async def turn(self, role: Role, client: str) -> Slot:
        """Take a request's turn, when it comes; who came first is answered first.

        Raises:
            TooMany: as many wait already as may.
        """
        slot = None if self._lines[role] else self._try(Kind.REQUESTS, role, client)
        return slot or await self._wait(role, client)

    def taken(self, kind: Kind, role: Role) -> int:
        """How many a role has now."""
        return self._taken[kind, role]

    async def _wait(self, role: Role, client: str) -> Slot:
        with self.take(Kind.WAITING, role, client):
            turn: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
            self._lines[role].append((client, turn))
            self._next(role)
            try:
                return await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was given a turn while it left
                    turn.result().release()
                raise

    def _next(self, role: Role) -> None:
        """Give their turn to those in the line who may have one."""
        line = self._lines[role]
        for client, turn in list(line):
            if turn.done():
                line.remove((client, turn))
            elif self._taken[Kind.REQUESTS, role] >= self._share(Kind.REQUESTS, role).together:
                return
            elif slot := self._try(Kind.REQUESTS, role, client):
                line.remove((client, turn))
                turn.set_result(slot)

    def _try(self, kind: Kind, role: Role, client: str) -> Slot | None:
        share, keys = self._share(kind, role), ((kind, role), (kind, role, client))
        with self._guard:
            if any(self._taken[key] >= most for key, most in zip(keys, share, strict=True)):
                return None
            self._taken.update(keys)
        return Slot(lambda: self._release(kind, role, keys))

    def _release(self, kind: Kind, role: Role, keys: tuple[tuple, ...]) -> None:
        with self._guard:
            self._taken.subtract(keys)
            for key in keys:
                if self._taken[key] <= 0:
                    del self._taken[key]  # clients come and go; what is not held costs nothing
        if kind == Kind.REQUESTS:
            self._next(role)

    def _share(self, kind: Kind, role: Role) -> Share:
        return self.table[role].shares.get(kind, Share(0, 0))


class Logins:
    """Counts wrong tokens by client, for a minute each; right ones are nothing to it, so nobody can be locked out."""

    def __init__(self, a_minute: int = LOGINS_A_MINUTE, clock: Callable[[], float] = time.monotonic):
        self._most, self._clock = a_minute, clock
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wrong(self, client: str) -> int | None:
        """Count one; seconds to wait where it was one too many, else None."""
        now = self._clock()
        since, count = self._wrong.pop(client, (now, 0))
        if now - since >= _MINUTE_S:
            since, count = now, 0
        self._wrong[client] = since, count + 1
        while len(self._wrong) > _MOST_CLIENTS:
            self._wrong.popitem(last=False)
        return max(1, round(since + _MINUTE_S - now)) if count >= self._most else None


def client_of(scope: Any, place: Place) -> str:
    """By what the clients of a place are told apart: their address, as far as it can be known.

    Behind a share link or on a Space every connection comes from a proxy, which puts its own peer last into
    x-forwarded-for; whatever stands before that, a client may have made up.
    """
    address = str((scope.get("client") or ("",))[0])
    if place in (Place.SHARE, Place.SPACE, Place.DEMO):
        passed = [value for name, value in scope.get("headers", ()) if name.lower() == b"x-forwarded-for"]
        if passed:
            address = passed[-1].decode("latin-1").rpartition(",")[2].strip()
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    # Whoever has one address of IPv6 has 2**64 of them.
    return str(IPv6Network((int(parsed), 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
