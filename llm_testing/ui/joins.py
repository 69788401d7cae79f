"""Gradio's queue of handler calls, held to what each role may have of it.

Whoever joins it gets an answer by a stream that is opened afterwards; one who never opens it leaves the answer, and all
that was sent, in memory for good. So each call comes with a share of the asker's (`api.turnstile` takes it), which goes
back once the answer was fetched; what nobody fetches is thrown away. These shares stand in place of Gradio's one cap
for everybody, by which viewers could keep the owner out.
"""

import asyncio
import time
from typing import Any

from llm_testing.service.budgets import JOIN_SHARE, Slot

FETCHED_WITHIN_S = 15.0
"""How long an answer waits for the stream that takes it; a page opens its own before it joins, or right after."""
SWEEP_EVERY_S = 1.0
LOOKS_EVERY_S = 0.01


def limit_joins(queue: Any) -> None:
    """Hold a page's queue to the shares of its askers."""
    queue.push = Joins(queue).push
    # Gradio keeps the last 10,000 calls for a page of statistics that is off here, and sums them up after each call.
    queue.ANALYTICS_MAX_EVENTS = 0
    # It looks a thousand times a second whether anybody has called, beside a trainer that each look may hold up.
    queue.sleep_when_free = LOOKS_EVERY_S


class Unfetched(set[str]):
    """The calls of one session whose answers were not fetched, with their shares; Gradio removes what was."""

    def __init__(self, event_ids: set[str]):
        super().__init__(event_ids)
        self.shares: dict[str, Slot] = {}
        self.ended_at: dict[str, float] = {}

    def remove(self, event_id: str) -> None:
        super().remove(event_id)
        self.give_back(event_id)

    def give_back(self, event_id: str) -> None:
        """Give back the share of one call."""
        self.ended_at.pop(event_id, None)
        if share := self.shares.pop(event_id, None):
            share.release()


class Joins:
    """Keeps the shares of a Gradio queue's calls. Used in the event loop alone."""

    def __init__(self, queue: Any, fetched_within_s: float = FETCHED_WITHIN_S):
        self.fetched_within_s = fetched_within_s
        self._queue, self._push = queue, queue.push
        self._sessions: dict[str, Unfetched] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def push(self, body: Any, request: Any, username: str | None) -> tuple[bool, Any, str]:
        """Put a call into the queue, as Gradio's own `push` does, and keep its share until its answer was fetched."""
        pushed, event_id, state = await self._push(body=body, request=request, username=username)
        if pushed and (calls := self._calls_of(body.session_hash)) is not None:
            calls.shares[event_id] = request.scope[JOIN_SHARE].handed_on()
            if self._sweeper is None or self._sweeper.done():
                self._sweeper = asyncio.create_task(self._sweep())
        return pushed, event_id, state

    def _calls_of(self, session: str) -> Unfetched | None:
        """A session's calls, put where Gradio keeps them; None where its stream has broken off meanwhile."""
        kept = self._queue.pending_event_ids_session.get(session)
        if kept is not None and not isinstance(kept, Unfetched):
            kept = self._queue.pending_event_ids_session[session] = Unfetched(kept)
        if kept is not None:
            self._sessions[session] = kept
        return kept

    async def _sweep(self) -> None:
        while self._sessions:
            await asyncio.sleep(SWEEP_EVERY_S)
            for session, calls in list(self._sessions.items()):
                if self._is_lost(calls):
                    await self._forget(session, calls)
                elif not calls.shares:
                    del self._sessions[session]

    def _is_lost(self, calls: Unfetched) -> bool:
        """Whether an answer of a session waits for too long: an open stream would have taken it."""
        now = time.monotonic()
        for event_id in list(calls.shares):
            if event_id not in calls:  # it was taken out of the queue when its stream broke off
                calls.give_back(event_id)
            elif event_id not in self._queue.event_ids_to_events:
                calls.ended_at.setdefault(event_id, now)
        return any(now - ended_at >= self.fetched_within_s for ended_at in calls.ended_at.values())

    async def _forget(self, session: str, calls: Unfetched) -> None:
        await self._queue.clean_events(session_hash=session)
        self._queue.pending_messages_per_session.pop(session, None)
        self._queue.pending_event_ids_session.pop(session, None)
        del self._sessions[session]
        for event_id in list(calls.shares):
            calls.give_back(event_id)
