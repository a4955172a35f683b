"""How does every subscriber get every event once, and none of them costs the daemon anything by being slow?

Rules of this file:

- The newest events are kept as encoded lines, shared by all. A subscriber is a cursor into them and nothing else:
  nothing is queued for anybody, so a client that never reads holds no memory and delays no one.
- A cursor that is behind the ring is fed from the store by `seq` until it is in the ring again.
- Without a cursor nothing is encoded or kept: publishing then costs one assignment.
- `publish` runs inside the journal's commit: it never raises and never waits.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import trio

from orchestrald.core.events import Event
from orchestrald.protocol import strict_json
from orchestrald.store.base import Reader

_PAGE_EVENTS = 512
_PAGE_BYTES = 256 * 1024
"""What one send carries at most, unless a single event is larger: enough that the system call is not what costs."""


class About(NamedTuple):
    """What a filter or an HTTP stream must know of an event without decoding it."""

    seq: int
    type: str
    interaction_id: str


class Page(NamedTuple):
    """Encoded events in seq order, and what each is about."""

    lines: list[bytes]
    about: list[About]


_NOTHING = Page([], [])


class Ring:
    def __init__(
        self,
        reader: Reader,
        *,
        last_seq: int,
        max_events: int = 8192,
        max_bytes: int = 16 * 1024 * 1024,
        replay_events: int = 200,
    ) -> None:
        """`last_seq` is the store's at this moment; every commit from here on is published.

        `replay_events` is how many one query asks the store for: what a subscriber who catches up holds in memory.
        """
        self.last_seq = last_seq
        self.reader = reader
        self.replay_events = replay_events
        self._max_events, self._max_bytes = max_events, max_bytes
        self._cursors = 0
        self._news = trio.lowlevel.ParkingLot()
        self._clear()

    def publish(self, events: Sequence[Event]) -> None:
        """The journal's `on_commit`: the events of one commit, in seq order, following the ones before."""
        if not events:
            return
        if self._cursors:
            if events[0].seq != self.last_seq + 1:
                self._clear()  # whoever is waiting gets what lies between from the store
                self.first = events[0].seq
            self._keep(events)
        self.last_seq = events[-1].seq
        if not self._cursors:
            self.first = self.last_seq + 1
        self.wake()

    def open(
        self, *, after_seq: int | None = None, interaction_id: str | None = None, types: Iterable[str] | None = None
    ) -> "Cursor":
        """A cursor after `after_seq`, missing: after the newest event. Close it, or events are kept for nobody."""
        self._cursors += 1
        return Cursor(self, self.last_seq if after_seq is None else after_seq, interaction_id, frozenset(types or ()))

    def close(self, cursor: "Cursor") -> None:
        """Closing twice is fine."""
        if cursor.open:
            cursor.open = False
            self._cursors -= 1
            if not self._cursors:
                self._clear()

    def wake(self) -> None:
        """Everybody who waits looks again."""
        self._news.unpark_all()

    async def changed(self) -> None:
        """Returns at the next `publish` or `wake`. Look at what you wait for right before, without an await between."""
        await self._news.park()

    async def wait_beyond(self, seq: int) -> int:
        """The newest seq, once it is greater than `seq`: what `wait_ms` of events.list waits for."""
        while self.last_seq <= seq:
            await self.changed()
        return self.last_seq

    def _clear(self) -> None:
        self.first = self.last_seq + 1
        self.lines: list[bytes] = []
        self.about: list[About] = []
        self._ends: list[int] = []  # running total of bytes, so that a page of so many bytes is a binary search
        self._start = 0

    def _keep(self, events: Sequence[Event]) -> None:
        total = self._ends[-1] if self._ends else self._start
        for event in events:
            line = encode(event)
            total += len(line)
            self.lines.append(line)
            self.about.append(About(event.seq, event.type, event.interaction_id))
            self._ends.append(total)
        if len(self.lines) > self._max_events or total - self._start > self._max_bytes:
            self._trim(total)

    def _trim(self, total: int) -> None:
        # An eighth more than needed: cutting the front of a list moves all the rest, so it is not done each time.
        by_count = len(self.lines) - self._max_events * 7 // 8
        by_bytes = bisect_left(self._ends, total - self._max_bytes * 7 // 8) + 1
        cut = max(by_count, by_bytes if total - self._start > self._max_bytes else 0)
        self._start = self._ends[cut - 1]
        self.first += cut
        del self.lines[:cut], self.about[:cut], self._ends[:cut]

    def page_after(self, seq: int) -> Page:
        """The kept events after `seq`, which must not be older than the ring, as many as one send should carry."""
        start = seq + 1 - self.first
        if start >= len(self.lines):
            return _NOTHING
        before = self._ends[start - 1] if start else self._start
        stop = max(start + 1, min(start + _PAGE_EVENTS, bisect_right(self._ends, before + _PAGE_BYTES)))
        return Page(self.lines[start:stop], self.about[start:stop])


class Cursor:
    """One reader's place. `seq` is the newest event that it has passed, whether it wanted that event or not."""

    def __init__(self, ring: Ring, seq: int, interaction_id: str | None, types: frozenset[str]) -> None:
        self.seq = seq
        self.open = True
        self._ring = ring
        self._interaction_id = interaction_id
        self._types = types

    @property
    def current(self) -> bool:
        """There is nothing to take before the next `publish`."""
        return self.seq >= self._ring.last_seq

    @property
    def behind(self) -> bool:
        """The next event has left the ring."""
        return not self.current and self.seq + 1 < self._ring.first

    async def page(self) -> Page:
        """The next events that it wants. Never waits for new ones; may be empty while there are more to look at, so
        ask `current` before waiting. Raises StoreError when the store cannot be read."""
        if self.current:
            return _NOTHING
        if self.behind:
            return await self._replay()
        page = self._ring.page_after(self.seq)
        self.seq = page.about[-1].seq
        return self._wanted(page)

    async def _replay(self) -> Page:
        # Taken before the query: what was published by now was committed before, so the query sees it all.
        seen = self._ring.last_seq
        events = await self._ring.reader.events(
            after_seq=self.seq,
            limit=self._ring.replay_events,
            interaction_id=self._interaction_id,
            types=sorted(self._types) or None,
        )
        newest = events[-1].seq if events else self.seq
        # A short page means that there is no more to want up to `seen`. The page may even reach beyond it (committed,
        # not yet published): those will be skipped when they are published.
        self.seq = newest if len(events) == self._ring.replay_events else max(seen, newest)
        return Page([encode(e) for e in events], [About(e.seq, e.type, e.interaction_id) for e in events])

    def _wanted(self, page: Page) -> Page:
        if self._interaction_id is None and not self._types:
            return page
        kept = [
            (line, about)
            for line, about in zip(*page, strict=True)
            if (self._interaction_id is None or about.interaction_id == self._interaction_id)
            and (not self._types or about.type in self._types)
        ]
        return Page([line for line, _ in kept], [about for _, about in kept])


def encode(event: Event) -> bytes:
    """The event as JSON. One that has no JSON form says so in its `data`: a commit must not fail over its echo."""
    try:
        return strict_json.dumps(event.to_wire())
    except strict_json.NotStrictJson as e:
        return strict_json.dumps(event._replace(data={"unreadable": str(e)[:500]}).to_wire())
