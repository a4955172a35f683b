"""Do both stores remember schedules, and the files that they have dealt with?"""

from typing import Any

import pytest

from orchestrald.core.events import Event
from orchestrald.errors import StoreError
from orchestrald.store.base import Batch, ScheduleChange, ScheduleRow
from store.both import both_stores  # noqa: F401  a fixture


def schedule(schedule_id: str = "sch_1", **rest: Any) -> ScheduleRow:
    row = ScheduleRow(
        schedule_id=schedule_id,
        name=f"name-of-{schedule_id}",
        state="active",
        trigger={"every": 60.0, "anchor": 5},
        misfire="once",
        intent="survey the house",
        plan=None,
        thread_id="",
        workspace="/w",
        labels={"a": "b"},
        by="uid:1000",
        created_at=5,
        next_at=60_000_005,
        fired=0,
        last=None,
    )
    return row._replace(**rest)


async def keep(store: Any, row: ScheduleRow, seen: dict[str, str | None] | None = None) -> None:
    await store.journal.append(Batch(schedule=ScheduleChange(row.schedule_id, row, seen or {})))


async def test_a_schedule_is_read_back_as_it_was_and_the_oldest_comes_first(store: Any) -> None:
    young = schedule("sch_1", created_at=9, plan={"steps": [{"id": "ä"}]}, last={"at": 3}, next_at=None)
    old = schedule("sch_2")
    await keep(store, young)
    await keep(store, old)
    assert await store.reader.schedules() == [old, young]


async def test_a_schedule_changes_in_the_transaction_of_its_events(store: Any) -> None:
    await keep(store, schedule())
    after = schedule(state="paused", next_at=None, fired=3)
    told = Event("schedule.paused", {"schedule": "sch_1"}, "")
    await store.journal.append(Batch([told], schedule=ScheduleChange("sch_1", after)))
    assert await store.reader.schedules() == [after]
    assert [event.type for event in await store.reader.events()] == ["schedule.paused"]


async def test_a_name_that_is_taken_refuses_the_whole_batch(store: Any) -> None:
    await keep(store, schedule("sch_1", name="nightly"))
    second = ScheduleChange("sch_2", schedule("sch_2", name="nightly"), {"/in/a": "1"})
    with pytest.raises(StoreError, match="refused"):
        await store.journal.append(Batch([Event("schedule.created", {}, "")], schedule=second))
    assert await store.reader.schedules() == [schedule("sch_1", name="nightly")]
    assert await store.reader.seen_files("sch_2") == {}
    assert await store.reader.last_seq() == 0


async def test_the_last_version_of_a_file_counts_and_a_missing_one_forgets_it(store: Any) -> None:
    await keep(store, schedule("sch_1"), {"/in/a": "1", "/in/b": "1", "/in/c": "1"})
    await keep(store, schedule("sch_2"), {"/in/a": "other"})
    await keep(store, schedule("sch_1"), {"/in/a": "2", "/in/b": None})
    assert await store.reader.seen_files("sch_1") == {"/in/a": "2", "/in/c": "1"}
    assert await store.reader.seen_files("sch_2") == {"/in/a": "other"}
    assert await store.reader.seen_files("unknown") == {}


async def test_a_schedule_that_is_gone_takes_its_files_along_and_frees_its_name(store: Any) -> None:
    await keep(store, schedule("sch_1", name="nightly"), {"/in/a": "1"})
    await store.journal.append(Batch(schedule=ScheduleChange("sch_1", None)))
    assert await store.reader.schedules() == []
    assert await store.reader.seen_files("sch_1") == {}
    await keep(store, schedule("sch_2", name="nightly"))


async def test_a_path_that_is_no_text_is_refused_and_the_journal_goes_on(store: Any) -> None:
    with pytest.raises(StoreError, match="JSON"):
        await keep(store, schedule(), {"/in/\udcff": "1"})
    await keep(store, schedule())
    assert store.journal.failed == ""
