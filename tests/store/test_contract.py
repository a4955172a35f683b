"""Do the fake store and the real one keep the same promises?"""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from orchestrald.core.events import Event
from orchestrald.errors import InternalError, StoreError
from orchestrald.store.base import Batch
from store.both import both_stores  # noqa: F401  a fixture
from store.samples import batch, event, interaction, request, thread


async def test_events_are_numbered_from_one_without_a_gap(store: Any) -> None:
    first = await store.journal.append(Batch([event(0), event(1)]))
    second = await store.journal.append(batch(2))
    assert [e.seq for e in (*first, *second)] == [1, 2, 3]
    assert await store.reader.last_seq() == 3


async def test_what_was_appended_is_read_back_as_it_was(store: Any) -> None:
    whole = Event("step.started", {"a": [1, None, "é\u0000𝄞"]}, "t1", "i1", "s1", at=1_700_000_000_000_001, v=1)
    bare = Event("external.event", {}, "")
    appended = await store.journal.append(Batch([whole, bare]))
    assert await store.reader.events() == list(appended) == [whole._replace(seq=1), bare._replace(seq=2)]


async def test_an_empty_store_has_nothing(store: Any) -> None:
    assert await store.reader.last_seq() == await store.reader.oldest_seq() == 0
    assert await store.reader.events() == await store.reader.interactions() == await store.reader.threads() == []
    assert await store.reader.unfinished() == {}
    assert await store.reader.interaction("i1") is await store.reader.thread("t1") is None
    assert await store.reader.request("uid:1000", "interaction.submit", "r1") is None


async def test_a_batch_without_events_still_commits_its_rows(store: Any) -> None:
    assert list(await store.journal.append(Batch(thread=thread()))) == []
    assert await store.reader.thread("t1") == thread()


async def test_events_are_paged_by_seq_and_filtered_by_interaction_and_type(store: Any) -> None:
    for n in range(6):
        type_ = "step.started" if n % 3 == 0 else "step.succeeded"
        await store.journal.append(batch(n, interaction_id=f"i{n % 2}", type=type_))

    async def found(**query: Any) -> list[int]:
        return [e.seq for e in await store.reader.events(**query)]

    assert await found(limit=2) == [1, 2]
    assert await found(after_seq=4) == [5, 6]
    assert await found(interaction_id="i1", after_seq=2) == [4, 6]
    assert await found(types=["step.started"]) == [1, 4]
    assert await found(types=["step.started"], interaction_id="i1") == [4]
    assert await found(types=[]) == await found(limit=0) == await found(limit=-1) == await found(after_seq=6) == []
    assert await found(interaction_id="unknown") == await found(interaction_id="") == []


async def test_the_oldest_seq_is_the_first_that_is_kept(store: Any) -> None:
    await store.journal.append(Batch([event(), event()]))
    assert await store.reader.oldest_seq() == 1


async def test_the_epoch_stays_the_same(store: Any) -> None:
    assert len(await store.reader.epoch()) == 16
    assert await store.reader.epoch() == await store.reader.epoch()


async def test_the_last_row_of_an_interaction_is_the_one_that_counts(store: Any) -> None:
    await store.journal.append(Batch([event()], interaction=interaction(waiting=("s1", "s2"), state="waiting")))
    assert await store.reader.interaction("i1") == interaction(waiting=("s1", "s2"), state="waiting")
    ended = interaction(state="completed", ended_at=99, updated_at=99, answer="done", finished=3)
    await store.journal.append(Batch([event()], interaction=ended))
    assert await store.reader.interaction("i1") == ended
    assert await store.reader.interactions() == [ended]


async def test_interactions_are_listed_newest_first_in_pages(store: Any) -> None:
    rows = [interaction(f"i{n}", created_at=n // 2, thread_id=f"t{n % 3}") for n in range(7)]
    for row in rows:
        await store.journal.append(Batch(interaction=row))
    newest = sorted(rows, key=lambda row: (row.created_at, row.interaction_id), reverse=True)
    assert await store.reader.interactions() == newest
    page = await store.reader.interactions(limit=3)
    rest = await store.reader.interactions(before=(page[-1].created_at, page[-1].interaction_id))
    assert [*page, *rest] == newest
    assert await store.reader.interactions(thread_id="t1") == [row for row in newest if row.thread_id == "t1"]
    assert await store.reader.interactions(limit=0) == await store.reader.interactions(thread_id="nobody's") == []


async def test_interactions_are_filtered_by_state(store: Any) -> None:
    for n, state in enumerate(["queued", "completed", "executing", "failed"]):
        await store.journal.append(Batch(interaction=interaction(f"i{n}", created_at=n, state=state)))

    async def found(*states: str) -> list[str]:
        return [row.interaction_id for row in await store.reader.interactions(states=states)]

    assert await found("queued", "executing") == ["i2", "i0"]
    assert await found("failed", "executing") == ["i3", "i2"]
    assert await found() == []


async def test_recovery_gets_every_event_of_what_is_not_final_and_nothing_else(store: Any) -> None:
    states = {"i1": "completed", "i2": "executing", "i3": "waiting", "i4": "cancelled"}
    for at, (interaction_id, state) in enumerate(states.items()):
        row = interaction(interaction_id, created_at=100 - at, state=state)
        await store.journal.append(Batch([event(0, interaction_id=interaction_id)], interaction=row))
    await store.journal.append(batch(1, interaction_id="i2"))
    await store.journal.append(batch(1, interaction_id="i1"))
    found = await store.reader.unfinished()
    assert {interaction_id: [e.seq for e in events] for interaction_id, events in found.items()} == {
        "i3": [3],
        "i2": [2, 5],
    }
    assert list(found) == ["i3", "i2"], "the oldest comes first"


async def test_an_interaction_that_ends_is_no_longer_unfinished(store: Any) -> None:
    await store.journal.append(Batch([event()], interaction=interaction()))
    await store.journal.append(Batch([event()], interaction=interaction(state="failed")))
    assert await store.reader.unfinished() == {}


async def test_a_thread_is_made_once_and_threads_are_listed_newest_first(store: Any) -> None:
    for row in (thread("t1", 5), thread("t2", 9), thread("t3", 9), thread("t1", 99)):
        await store.journal.append(Batch(thread=row))
    assert await store.reader.thread("t1") == thread("t1", 5)
    assert await store.reader.threads() == [thread("t3", 9), thread("t2", 9), thread("t1", 5)]
    assert await store.reader.threads(limit=1) == [thread("t3", 9)]


async def test_a_request_is_answered_once_and_the_second_answer_stores_nothing(store: Any) -> None:
    await store.journal.append(Batch([event()], request=request()))
    assert await store.reader.request("uid:1000", "interaction.submit", "r1") == request()
    assert await store.reader.request("uid:1", "interaction.submit", "r1") is None
    second = Batch([event()], thread=thread("t9"), interaction=interaction("i9"), request=request(result={}))
    with pytest.raises(StoreError, match="refused"):
        await store.journal.append(second)
    assert await store.reader.last_seq() == 1
    assert await store.reader.thread("t9") is await store.reader.interaction("i9") is None
    assert await store.reader.request("uid:1000", "interaction.submit", "r1") == request()
    assert [e.seq for e in await store.journal.append(batch())] == [2]


@pytest.mark.parametrize(
    "value", [math.nan, -math.inf, "\ud800", 10**5_000, object()], ids=["nan", "inf", "surrogate", "huge", "object"]
)
async def test_data_that_could_not_be_read_back_is_refused_and_the_journal_goes_on(store: Any, value: Any) -> None:
    for bad in (Batch([event(), event(data={"x": [value]})]), Batch(request=request(result={"x": value}))):
        with pytest.raises(StoreError, match="JSON"):
            await store.journal.append(bad)
    assert store.journal.failed == ""
    assert [e.seq for e in await store.journal.append(batch())] == [1]


async def test_events_are_published_in_order_before_their_appender_goes_on(store: Any) -> None:
    published: list[int] = []
    store.journal.on_commit = lambda events: published.extend(e.seq for e in events)

    async def append(n: int) -> None:
        (appended,) = await store.journal.append(batch(n))
        assert appended.seq in published

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for n in range(100):
                nursery.start_soon(append, n)
    assert published == list(range(1, 101))


async def test_a_refused_batch_is_not_published(store: Any) -> None:
    published: list[Event] = []
    store.journal.on_commit = published.extend
    with pytest.raises(StoreError):
        await store.journal.append(Batch([event(data={"x": math.nan})]))
    await store.journal.append(Batch(thread=thread()))
    assert published == []


async def test_nobody_goes_on_when_publishing_fails(store: Any) -> None:
    def fail(events: Sequence[Event]) -> None:
        raise ValueError("no")

    store.journal.on_commit = fail
    with pytest.raises(InternalError, match="published"):
        await store.journal.append(batch())
    with pytest.raises(StoreError, match="published"):
        await store.journal.append(batch())


async def test_an_appender_that_is_already_cancelled_stores_nothing(store: Any) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.journal.append(batch())
    await store.journal.append(batch(1))
    assert [e.data for e in await store.reader.events()] == [{"n": 1}]


async def test_what_a_caller_changes_later_does_not_change_what_is_stored(store: Any) -> None:
    data: dict[str, Any] = {"list": [1]}
    await store.journal.append(Batch([event(data=data)]))
    data["list"].append(2)
    (stored,) = await store.reader.events()
    assert stored.data == {"list": [1]}
