"""Does every reader get every event once, whatever it does and whenever it came?"""

import json
from collections.abc import Callable
from typing import Any

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.events import Event
from orchestrald.server.ring import Cursor, Page, Ring


def seqs(page: Page) -> list[int]:
    assert [json.loads(line)["seq"] for line in page.lines] == [about.seq for about in page.about]
    return [about.seq for about in page.about]


async def drain(cursor: Cursor) -> list[int]:
    got: list[int] = []
    with trio.fail_after(5):
        while not cursor.current:
            got += seqs(await cursor.page())
    return got


async def test_a_cursor_gets_what_is_published_after_it_was_opened(make_log: Callable[..., Any]) -> None:
    log = make_log(3)
    cursor = log.ring.open()
    log.commit(2)
    assert await drain(cursor) == [4, 5]
    assert log.reads == 0


async def test_an_older_cursor_is_fed_from_the_store_and_then_from_the_ring(make_log: Callable[..., Any]) -> None:
    log = make_log(450)
    cursor = log.ring.open(after_seq=0)
    log.commit(5)
    assert await drain(cursor) == list(range(1, 456))
    assert log.reads == 3


async def test_a_cursor_that_fell_off_the_ring_misses_nothing(make_log: Callable[..., Any]) -> None:
    log = make_log(max_events=16)
    cursor = log.ring.open()
    log.commit(2)
    assert seqs(await cursor.page()) == [1, 2]
    log.commit(100)
    assert cursor.behind
    assert await drain(cursor) == list(range(3, 103))


async def test_the_ring_is_bounded_in_events_and_in_bytes(make_log: Callable[..., Any]) -> None:
    log = make_log(max_events=100, max_bytes=50_000)
    cursor = log.ring.open()
    for _ in range(500):
        log.commit(1)
        assert len(log.ring.lines) <= 100
    for _ in range(200):
        log.commit(1, text="x" * 2_000)
        assert sum(map(len, log.ring.lines)) <= 50_000
    assert await drain(cursor) == list(range(1, 701))


async def test_an_event_larger_than_the_whole_ring_still_arrives(make_log: Callable[..., Any]) -> None:
    log = make_log(max_bytes=1_000)
    cursor = log.ring.open()
    log.commit(1, text="x" * 5_000)
    log.commit(1)
    assert await drain(cursor) == [1, 2]


async def test_a_page_is_no_more_than_one_send_should_carry(make_log: Callable[..., Any]) -> None:
    log = make_log()
    cursor = log.ring.open()
    log.commit(20, text="x" * 50_000)
    page = await cursor.page()
    assert 1 < len(page.lines) < 6


async def test_an_event_larger_than_a_page_is_a_page_of_its_own(make_log: Callable[..., Any]) -> None:
    log = make_log()
    cursor = log.ring.open()
    for size in (10, 300_000, 10):
        log.commit(1, text="x" * size)
    assert [seqs(await cursor.page()) for _ in range(3)] == [[1], [2], [3]]


async def test_events_committed_but_not_yet_published_are_not_repeated(make_log: Callable[..., Any]) -> None:
    log = make_log(3)
    cursor = log.ring.open(after_seq=0)
    unpublished = log.add(2)
    assert seqs(await cursor.page()) == [1, 2, 3, 4, 5]
    log.ring.publish(unpublished)
    assert await drain(cursor) == []
    log.commit(1)
    assert await drain(cursor) == [6]


async def test_a_filtered_cursor_that_wants_nothing_still_moves_on(make_log: Callable[..., Any]) -> None:
    log = make_log(50, max_events=16)
    cursor = log.ring.open(after_seq=0, interaction_id="other")
    assert await drain(cursor) == []
    log.commit(1)
    log.commit(1, "other")
    assert await drain(cursor) == [52]
    assert log.reads == 1


async def test_types_select_events_in_ring_and_store_alike(make_log: Callable[..., Any]) -> None:
    log = make_log(2)
    none = log.ring.open(after_seq=0, types=["step.failed"])
    some = log.ring.open(after_seq=0, types=["step.failed", "step.started"])
    assert (await drain(none), await drain(some)) == ([], [1, 2])
    log.commit(2)
    assert (await drain(none), await drain(some)) == ([], [3, 4])


def test_nothing_is_encoded_or_kept_while_nobody_reads(make_log: Callable[..., Any]) -> None:
    log = make_log()
    log.commit(10)
    assert log.ring.lines == []
    cursor = log.ring.open()
    log.commit(10)
    assert len(log.ring.lines) == 10
    log.ring.close(cursor)
    log.ring.close(cursor)
    assert log.ring.lines == []
    other = log.ring.open()  # closing twice has not made the count wrong
    log.commit(1)
    assert len(log.ring.lines) == 1
    log.ring.close(other)


def test_an_event_without_a_json_form_says_so_instead_of_failing_the_commit(make_log: Callable[..., Any]) -> None:
    log = make_log()
    log.ring.open()
    log.commit(1, value=float("nan"))
    assert "NaN" in json.loads(log.ring.lines[0])["data"]["unreadable"]


async def test_whoever_waits_beyond_a_seq_is_woken_by_the_commit(make_log: Callable[..., Any]) -> None:
    log = make_log(3)
    heard: list[int] = []

    async def wait() -> None:
        heard.append(await log.ring.wait_beyond(4))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            log.commit(1)
            log.ring.wake()
            await trio.testing.wait_all_tasks_blocked()
            assert heard == []
            log.commit(1)
    assert heard == [5]
    assert await log.ring.wait_beyond(2) == 5


async def test_a_hole_in_what_is_published_is_filled_from_the_store(make_log: Callable[..., Any]) -> None:
    log = make_log()
    cursor = log.ring.open()
    log.commit(2)
    log.add(3)
    log.commit(1)
    assert await drain(cursor) == [1, 2, 3, 4, 5, 6]


class _Slow:
    """A store whose answer to a query is fixed when the query is let through, as a snapshot's is."""

    def __init__(self) -> None:
        self.stored: list[Event] = []
        self.gate = trio.lowlevel.ParkingLot()

    async def events(
        self, *, after_seq: int = 0, limit: int = 500, interaction_id: Any = None, types: Any = None
    ) -> Any:
        await self.gate.park()
        wanted = [e for e in self.stored if e.seq > after_seq and interaction_id in (None, e.interaction_id)]
        await self.gate.park()
        return wanted[:limit]


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 12)),
        st.tuples(st.just("publish"), st.integers(1, 12)),
        st.tuples(st.just("let_through"), st.integers(1, 3)),
        st.tuples(st.just("read"), st.integers(0, 30)),
        st.tuples(st.just("run"), st.just(0)),
    ),
    max_size=60,
)


@given(MOVES, st.booleans())
def test_any_interleaving_of_commits_and_replays_gives_each_event_exactly_once(
    moves: list[tuple[str, int]], filtered: bool
) -> None:
    async def play() -> None:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                world = _World(nursery, "odd" if filtered else None)
                for move, count in moves:
                    await getattr(world, move)(count)
                await world.settle()
                nursery.cancel_scope.cancel()
        for after, got in world.readers:
            assert got == [n for n in range(after + 1, len(world.store.stored) + 1) if n % 2 or not filtered]

    trio.run(play)


class _World:
    """A store, a ring and readers, each moved on by hand."""

    def __init__(self, nursery: trio.Nursery, wanted: str | None) -> None:
        self.store = _Slow()
        self.ring = Ring(self.store, last_seq=0, max_events=8, replay_events=5)  # type: ignore[arg-type]
        self.readers: list[tuple[int, list[int]]] = []
        self._nursery = nursery
        self._wanted = wanted

    async def commit(self, count: int) -> None:
        first = len(self.store.stored) + 1
        self.store.stored += [
            Event("step.started", {}, "t", "odd" if n % 2 else "even", seq=n) for n in range(first, first + count)
        ]

    async def publish(self, count: int) -> None:
        done = self.ring.last_seq
        self.ring.publish(self.store.stored[done : done + count])

    async def let_through(self, count: int) -> None:
        self.store.gate.unpark(count=count)

    async def read(self, after_seq: int) -> None:
        self.readers.append((after_seq, []))
        self._nursery.start_soon(self._read, *self.readers[-1])

    async def run(self, _: int) -> None:
        await trio.testing.wait_all_tasks_blocked()

    async def settle(self) -> None:
        await self.publish(len(self.store.stored))
        await self.run(0)
        while self.store.gate:
            self.store.gate.unpark_all()
            await self.run(0)

    async def _read(self, after_seq: int, got: list[int]) -> None:
        cursor = self.ring.open(after_seq=after_seq, interaction_id=self._wanted)
        while True:
            got += seqs(await cursor.page())
            if cursor.current:
                await self.ring.changed()
