"""Who wakes a step at its moment?

The durable timer is the `due_at` in the event that caused it; this heap is only its echo in memory, built again by
`Recovered`. One sleeping coroutine serves all timers, however many there are.
"""

from collections.abc import Callable, Hashable
from functools import partial
from heapq import heapify, heappop, heappush

import trio

from orchestrald.engine.clock import Clock

LONGEST_SLEEP = 60.0
"""Seconds after which we look at the wall clock again: it may have jumped, or the machine may have slept."""


MANY = 1_000
"""Timers that were dropped and still have a place, before anybody counts them."""


class Timers:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._keys: dict[Hashable, int] = {}
        self._dropped: set[int] = set()
        self._count = 0
        self._changed = trio.Event()

    def set(self, due_at: int, fire: Callable[[], None], key: Hashable = None) -> None:
        """Call `fire` once, at `due_at` (UTC microseconds) or as soon after it as we can.

        With a `key` it can be dropped, and takes the place of what was set under that key before.
        """
        self._count += 1  # breaks ties, so that callables are never compared
        if key is not None:
            self.drop(key)
            self._keys[key] = self._count
            fire = partial(self._fire, key, fire)
        heappush(self._heap, (due_at, self._count, fire))
        self._changed.set()

    def drop(self, key: Hashable) -> None:
        """It is not waited for any more. Its place in the heap goes when half of the heap is such places."""
        number = self._keys.pop(key, None)
        if number is None:
            return
        self._dropped.add(number)
        if len(self._dropped) > max(MANY, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[1] not in self._dropped]
            heapify(self._heap)
            self._dropped.clear()

    def _fire(self, key: Hashable, fire: Callable[[], None]) -> None:
        self._keys.pop(key, None)
        fire()

    async def run(self) -> None:
        while True:
            self._changed = trio.Event()
            now = self._clock.now()
            while self._heap and self._heap[0][0] <= now:
                _, number, fire = heappop(self._heap)
                if number in self._dropped:
                    self._dropped.remove(number)
                else:
                    fire()
            pause = LONGEST_SLEEP if not self._heap else (self._heap[0][0] - now) / 1_000_000
            with trio.move_on_after(min(max(pause, 0.0005), LONGEST_SLEEP)):
                await self._changed.wait()
