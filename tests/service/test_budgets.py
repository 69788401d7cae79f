"""Shares of the server: taken in one step, kept apart by role, given back however a request ends."""

import asyncio
import threading

import pytest

from llm_testing.errors import TooMany
from llm_testing.service.budgets import BUDGETS, Budget, Budgets, Kind, Logins, Share, client_of
from llm_testing.service.places import Place
from llm_testing.service.roles import Role

SMALL = {
    Role.OWNER: Budget({Kind.REQUESTS: Share(4, 4), Kind.WAITING: Share(4, 4)}, 100),
    Role.VIEWER: Budget(
        {Kind.REQUESTS: Share(3, 2), Kind.WAITING: Share(4, 3), Kind.STREAMS: Share(5, 2), Kind.JOINS: Share(8, 8)}, 10
    ),
}


def test_of_many_threads_at_once_exactly_as_many_get_one_as_there_are():
    budgets, start = Budgets(SMALL), threading.Barrier(40)
    got, refused = [], []

    def ask(number: int) -> None:
        start.wait()
        try:
            got.append(budgets.take(Kind.JOINS, Role.VIEWER, f"client {number}"))
        except TooMany as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8 and len(refused) == 32 and budgets.taken(Kind.JOINS, Role.VIEWER) == 8
    for slot in got:
        slot.release()
        slot.release()  # once is once
    assert budgets.taken(Kind.JOINS, Role.VIEWER) == 0


def test_one_client_takes_no_more_than_its_part_and_roles_do_not_share():
    budgets = Budgets(SMALL)
    held = [budgets.take(Kind.STREAMS, Role.VIEWER, "a") for _ in range(2)]
    with pytest.raises(TooMany, match="5 event streams at once at most here, and 2 from one place"):
        budgets.take(Kind.STREAMS, Role.VIEWER, "a")
    held += [budgets.take(Kind.STREAMS, Role.VIEWER, client) for client in "bcd"]
    with pytest.raises(TooMany) as refused:
        budgets.take(Kind.STREAMS, Role.VIEWER, "e")
    assert refused.value.retry_after_s >= 1
    with pytest.raises(TooMany):  # what a role has no share of it may not have
        budgets.take(Kind.STREAMS, Role.OWNER, "a")


def test_requests_wait_for_their_turn_in_order_and_the_owners_never_behind_a_viewers():
    async def story() -> None:
        budgets, turns = Budgets(SMALL), []

        async def ask(client: str, name: str) -> None:
            slot = await budgets.turn(Role.VIEWER, client)
            turns.append((name, slot))

        first = [await budgets.turn(Role.VIEWER, client) for client in "abc"]
        waiting = [asyncio.create_task(ask(*who)) for who in (("a", "a2"), ("b", "b2"), ("a", "a3"), ("d", "d1"))]
        await asyncio.sleep(0)
        with pytest.raises(TooMany):
            await budgets.turn(Role.VIEWER, "e")
        own = [await budgets.turn(Role.OWNER, "a") for _ in range(4)]
        assert turns == [] and budgets.taken(Kind.WAITING, Role.VIEWER) == 4
        first[1].release()  # b's place is free; a2 came first
        await asyncio.sleep(0)
        assert [name for name, _ in turns] == ["a2"]
        first[2].release()  # a has both of its places, so b2 is next
        await asyncio.sleep(0)
        assert [name for name, _ in turns] == ["a2", "b2"]
        waiting[2].cancel()
        await asyncio.sleep(0)
        first[0].release()
        await asyncio.sleep(0)
        assert [name for name, _ in turns] == ["a2", "b2", "d1"]
        for slot in (*own, *(slot for _, slot in turns)):
            slot.release()
        assert {budgets.taken(kind, role) for kind in Kind for role in SMALL} == {0}

    asyncio.run(story())


def test_who_leaves_in_the_moment_of_its_turn_gives_it_back():
    async def story() -> None:
        budgets = Budgets(SMALL)
        held = [await budgets.turn(Role.VIEWER, client) for client in "abc"]
        leaves = asyncio.create_task(budgets.turn(Role.VIEWER, "d"))
        await asyncio.sleep(0)
        held[0].release()
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert budgets.taken(Kind.REQUESTS, Role.VIEWER) == 2 and budgets.taken(Kind.WAITING, Role.VIEWER) == 0

    asyncio.run(story())


def test_the_table_gives_viewers_nothing_that_only_owners_may_and_owners_more_of_the_rest():
    owner, viewer = BUDGETS[Role.OWNER], BUDGETS[Role.VIEWER]
    assert set(BUDGETS) == set(Role) and set(owner.shares) == set(Kind)
    assert not {Kind.UPLOADS, Kind.DOWNLOADS} & set(viewer.shares) and viewer.body_bytes < owner.body_bytes
    for kind, share in viewer.shares.items():
        assert share.a_client <= share.together <= owner.shares[kind].together, kind


def test_only_wrong_logins_are_counted_by_client_and_minute():
    now = [0.0]
    logins = Logins(a_minute=3, clock=lambda: now[0])
    assert [logins.wrong("a") for _ in range(3)] == [None] * 3
    assert logins.wrong("a") == 60 and logins.wrong("b") is None
    now[0] = 59.0
    assert logins.wrong("a") == 1
    now[0] = 60.0
    assert logins.wrong("a") is None
    for number in range(5000):
        logins.wrong(f"client {number}")
    assert len(logins._wrong) <= 1024


@pytest.mark.parametrize(
    ("place", "forwarded", "client"),
    [
        (Place.LAN, "6.6.6.6", "10.0.0.9"),
        (Place.LOCAL, "", "10.0.0.9"),
        (Place.SHARE, "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        (Place.SPACE, "made up, 2001:db8::5", "2001:db8::/64"),
        (Place.SPACE, "2001:db8::6", "2001:db8::/64"),
        (Place.SHARE, "", "10.0.0.9"),
        (Place.SHARE, "x" * 5000, ""),
    ],
)
def test_a_client_is_what_the_proxy_says_it_is_and_only_where_there_is_one(place, forwarded, client):
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_of({"client": ("10.0.0.9", 5), "headers": headers}, place) == client
