"""Do both stores know what waits, what rests and which events nobody has taken, after the same commits?"""

from typing import Any

from orchestrald.core.events import Event
from orchestrald.store.base import Batch, MailRow, RestingRow, ThreadRow, WaitRow, WaitsChange
from store.both import both_stores  # noqa: F401  a fixture
from store.samples import batch, event, interaction, thread


def wait(step_id: str, interaction_id: str = "i1", at: int = 5, **rest: Any) -> WaitRow:
    row = WaitRow(interaction_id, "t1", step_id, "input", None, None, at, None, "", {"kind": "input", "prompt": "?"})
    return row._replace(**rest)


def of(interaction_id: str, *began: WaitRow, **rest: Any) -> Batch:
    """A commit of this interaction that changes what waits."""
    return Batch([event()], interaction(interaction_id), waits=WaitsChange(began, **rest))


async def test_a_wait_is_there_from_its_commit_until_the_one_that_ends_it(store: Any) -> None:
    first, second = wait("a"), wait("b", at=6, kind="event", event_kind="ready", correlation="c", due_at=9)
    await store.journal.append(of("i1", first, second))
    assert await store.reader.waits() == [first, second]
    await store.journal.append(batch(1))
    assert await store.reader.waits() == [first, second]
    again = wait("b", at=8, question={"kind": "input", "prompt": "and now?"})
    await store.journal.append(of("i1", again, ended=["a"]))
    assert await store.reader.waits() == [again]
    await store.journal.append(of("i1", over=True))
    assert await store.reader.waits() == []


async def test_of_one_interaction_nothing_ends_the_waits_of_another(store: Any) -> None:
    await store.journal.append(of("i1", wait("a")))
    await store.journal.append(of("i2", wait("a", "i2"), ended=["a"]))
    await store.journal.append(of("i1", over=True))
    assert [row.interaction_id for row in await store.reader.waits()] == ["i2"]


async def test_waits_are_found_by_kind_thread_and_interaction_oldest_first(store: Any) -> None:
    rows = [wait("a", at=7), wait("b", at=6, kind="approval"), wait("c", "i2", at=5, thread_id="t2")]
    await store.journal.append(of("i1", *rows[:2]))
    await store.journal.append(of("i2", rows[2]))

    async def found(**about: Any) -> list[str]:
        return [row.step_id for row in await store.reader.waits(**about)]

    assert await found() == ["c", "b", "a"]
    assert await found(kinds=["approval"]) == ["b"]
    assert await found(kinds=[]) == []
    assert await found(thread_id="t2") == ["c"]
    assert await found(interaction_id="i1") == ["b", "a"]
    assert await found(interaction_id="i1", kinds=["input"]) == ["a"]
    assert await found(thread_id="nobody") == []


async def test_mail_is_kept_under_the_seq_of_its_event_until_it_is_taken(store: Any) -> None:
    await store.journal.append(batch())
    for kind, thread_id, correlation in (("a", "", None), ("b", "t1", "c")):
        happened = Event("external.event", {"kind": kind}, thread_id)
        await store.journal.append(Batch([happened], mail=MailRow(0, thread_id, kind, correlation, 99)))
    assert await store.reader.mail() == [MailRow(2, "", "a", None, 99), MailRow(3, "t1", "b", "c", 99)]
    await store.journal.append(Batch([event()], taken=[2, 77]))
    assert [mail.seq for mail in await store.reader.mail()] == [3]


async def test_what_rests_is_listed_and_is_not_folded_at_a_start(store: Any) -> None:
    for name, rest in (("i1", {"state": "waiting", "resting": True}), ("i2", {}), ("i3", {"state": "paused"})):
        await store.journal.append(Batch([event(interaction_id=name)], interaction(name, **rest)))
    await store.journal.append(
        Batch([event(interaction_id="i4")], interaction("i4", state="completed", resting=True, ended_at=3))
    )
    assert await store.reader.resting() == [RestingRow("i1", "t1", "waiting", 10)]
    assert sorted(await store.reader.unfinished()) == ["i2", "i3"]
    await store.journal.append(Batch([event()], interaction("i1", state="executing")))
    assert await store.reader.resting() == []


async def test_a_thread_can_change_and_be_put_away(store: Any) -> None:
    await store.journal.append(Batch(thread=thread()))
    changed = ThreadRow("t1", "another", 5, {"k": [1, {"a": None}]}, "queue", None)
    await store.journal.append(Batch(thread=changed))
    assert await store.reader.thread("t1") == changed
    await store.journal.append(Batch(thread=changed._replace(archived_at=9)))
    assert await store.reader.threads() == []
    assert await store.reader.threads(archived=True) == [changed._replace(archived_at=9)]
