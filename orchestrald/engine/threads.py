"""Who is unfinished in each thread, and whose turn is next?

As much as a thread's policy must know, of every unfinished interaction, whether it is in memory or rests. What is said
here follows the journal, but for a reservation: who is about to start counts as active before that is durable, so that
two inputs that come at once never both find the thread idle.
"""

from typing import Literal

import trio

from orchestrald.core.concurrency import Situation, Standing
from orchestrald.core.states import InteractionState as I

_WAITING = frozenset({I.WAITING, I.PAUSED})


def standing_of(state: I) -> Literal["queued", "active", "waiting"]:
    return "queued" if state is I.QUEUED else "waiting" if state in _WAITING else "active"


class Threads:
    """The unfinished interactions by thread; a thread without any is not in it. `limit` is how many may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.changing = trio.Lock()
        """Held while a thread's row is read, changed and written: of two changes at once none is lost."""
        self.archived: set[str] = set()
        """Those that are being put away, or were since the start: for whoever read a row just before."""
        self._alive: dict[str, dict[str, Standing]] = {}

    def put(self, thread_id: str, standing: Standing) -> bool:
        """Whether the thread may have room now that it had not before."""
        thread = self._alive.setdefault(thread_id, {})
        before = thread.get(standing.interaction_id)
        thread[standing.interaction_id] = standing
        return before is not None and before.state != "waiting" and standing.state == "waiting"

    def drop(self, thread_id: str, interaction_id: str) -> bool:
        """It is final. Whether it was known as anything else before."""
        thread = self._alive.get(thread_id, {})
        gone = thread.pop(interaction_id, None)
        if not thread:
            self._alive.pop(thread_id, None)
        return gone is not None

    def state_of(self, thread_id: str, interaction_id: str) -> Literal["queued", "active", "waiting", "final"]:
        """`final` is also what is not known at all."""
        found = self._alive.get(thread_id, {}).get(interaction_id)
        return "final" if found is None else found.state

    def situation(self, thread_id: str, intent: str, source: str, by: str) -> Situation:
        alive = sorted(self._alive.get(thread_id, {}).values(), key=lambda each: (each.created_at, each.interaction_id))
        return Situation(thread_id, intent, source, by, tuple(alive), self.limit)

    def next_in(self, thread_id: str) -> Standing | None:
        """The first of the queue, when nothing is active; reserved at once."""
        thread = self._alive.get(thread_id, {})
        queued = [each for each in thread.values() if each.state == "queued"]
        if not queued or any(each.state == "active" for each in thread.values()):
            return None
        if len(thread) - len(queued) >= self.limit:
            return None
        first = min(queued, key=lambda each: (each.created_at, each.interaction_id))
        if any(each in thread for each in first.interrupts):
            return None  # it has come to wait for somebody before it heard that it is cancelled
        self._alive[thread_id][first.interaction_id] = first._replace(state="active")
        return first

    def names(self) -> list[str]:
        """The threads in which something is unfinished."""
        return list(self._alive)

    def counts(self) -> dict[str, int]:
        states = [each.state for thread in self._alive.values() for each in thread.values()]
        return {"active": states.count("active"), "waiting": states.count("waiting"), "queued": states.count("queued")}
