"""How many steps run at once: per interaction, per daemon, per action, and in sandboxes altogether?

A slot is taken when the core decides to start a step and given back when its attempt is over. Whoever found no room
waits in a queue, one for the daemon's own limit and one for each group's, and is woken in the order of asking. A slot
is kept for the woken one until its turn is over. Whatever changes, all queues are looked at: the woken one may not want
its slot after all, and what then fits best may wait in another queue.
"""

from collections.abc import Callable
from typing import Protocol

DAEMON = ""
"""The queue of those whom the daemon's own limit stopped; other queues are named after their group."""


class Starving(Protocol):
    """An interaction that has steps to start and found no room."""

    def slots_freed(self) -> None: ...


class DaemonSlots:
    """The daemon's counters. `groups` says which shared limits an action counts against, besides the daemon's own."""

    def __init__(self, total: int, per_interaction: int, groups: Callable[[str], list[tuple[str, int]]]) -> None:
        self.total = total
        self.per_interaction = per_interaction
        self.running = 0
        self.closed = False
        self._groups = groups
        self._taken: dict[str, int] = {}
        self._limits: dict[str, int] = {}
        self._queues: dict[str, dict[Starving, int]] = {}
        self._asked = 0
        self._woken: dict[Starving, str] = {}

    def has_room(self) -> bool:
        return not self.closed and self.running + len(self._woken) < self.total

    def take(self, action: str, who: Starving) -> list[str] | None:
        """The groups that a slot was taken from, to be given back; missing when one is full, and then `who` queues."""
        groups = self._groups(action)
        for name, limit in groups:
            self._limits[name] = limit
            if self._taken.get(name, 0) >= limit:
                self.queue(who, name)
                return None
        for name, _ in groups:
            self._taken[name] = self._taken.get(name, 0) + 1
        self.running += 1
        return [name for name, _ in groups]

    def give_back(self, groups: list[str]) -> None:
        self.running -= 1
        for name in groups:
            self._taken[name] -= 1
        self._wake()

    def queue(self, who: Starving, name: str = DAEMON) -> None:
        self._asked += 1
        self._queues.setdefault(name, {}).setdefault(who, self._asked)

    def turn_begins(self, who: Starving) -> str | None:
        """The queue that `who` was woken from, whose slot is now its own to take; missing when it was not woken."""
        return self._woken.pop(who, None)

    def turn_ends(self, woken_from: str | None) -> None:
        """Wake the next one, in case the woken one did not want its slot."""
        if woken_from is not None:
            self._wake()

    def forget(self, who: Starving) -> None:
        for queue in self._queues.values():
            queue.pop(who, None)
        self.turn_ends(self._woken.pop(who, None))

    def close(self) -> None:
        """Start nothing any more: the daemon drains."""
        self.closed = True

    def _wake(self) -> None:
        while self.has_room():
            # The first of each queue that has room, and of these the one that asked first.
            heads = [(*next(iter(q.items())), n) for n, q in self._queues.items() if q and self._group_has_room(n)]
            if not heads:
                return
            who, _, name = min(heads, key=lambda head: head[1])
            del self._queues[name][who]
            if who not in self._woken:
                self._woken[who] = name
                who.slots_freed()

    def _group_has_room(self, name: str) -> bool:
        if name == DAEMON:
            return True
        kept = sum(1 for woken_from in self._woken.values() if woken_from == name)
        return self._taken.get(name, 0) + kept < self._limits[name]


class InteractionSlots:
    """The core's view of the counters, for one interaction."""

    def __init__(self, daemon: DaemonSlots, who: Starving) -> None:
        self._daemon = daemon
        self._who = who
        self.taken: list[list[str]] = []

    def has_room(self, running: int) -> bool:
        if running >= self._daemon.per_interaction:
            return False
        if self._daemon.has_room():
            return True
        self._daemon.queue(self._who)
        return False

    def take(self, action: str) -> bool:
        groups = self._daemon.take(action, self._who)
        if groups is None:
            return False
        self.taken.append(groups)
        return True
