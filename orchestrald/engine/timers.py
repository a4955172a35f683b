"""Who wakes a step at its moment?

The durable timer is the `due_at` in the event that caused it; this heap is only its echo in memory, built again by
`Recovered`. One sleeping coroutine serves all timers, however many there are.
"""

from collections.abc import Callable
from heapq import heappop, heappush

import trio

from orchestrald.engine.clock import Clock

LONGEST_SLEEP = 60.0
"""Seconds after which we look at the wall clock again: it may have jumped, or the machine may have slept."""


class Timers:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._changed = trio.Event()

    def set(self, due_at: int, fire: Callable[[], None]) -> None:
        """Call `fire` once, at `due_at` (UTC microseconds) or as soon after it as we can."""
        self._count += 1  # breaks ties, so that callables are never compared
        heappush(self._heap, (due_at, self._count, fire))
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed = trio.Event()
            now = self._clock.now()
            while self._heap and self._heap[0][0] <= now:
                heappop(self._heap)[2]()
            pause = LONGEST_SLEEP if not self._heap else (self._heap[0][0] - now) / 1_000_000
            with trio.move_on_after(min(max(pause, 0.0005), LONGEST_SLEEP)):
                await self._changed.wait()
