"""Do both stores make the same working set, references and messages of the same events?"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrald.core.events import Event
from orchestrald.errors import StoreError
from orchestrald.store.base import Batch
from orchestrald.store.base_kept import KeyRow, ReferenceRow, ValueRow
from orchestrald.store.sqlite import open_store
from store.both import both_stores  # noqa: F401  a fixture
from store.samples import event, interaction

A, B = (f"sha256:{letter * 64}" for letter in "ab")


def kept(key: str, value: Any, scope: str = "thread", at: int = 1, **rest: Any) -> Event:
    return event(type="memory.set", data={"scope": scope, "key": key, "value": value, "by": "uid:0"}, at=at, **rest)


def dropped(key: str, scope: str = "thread", **rest: Any) -> Event:
    return event(type="memory.deleted", data={"scope": scope, "key": key, "by": "uid:0"}, **rest)


def stored(digest: str, *, at: int = 1, until: int | None = None, type_: str = "text", **rest: Any) -> Event:
    data = {"digest": digest, "type": type_, "media_type": "text/plain", "name": "a.txt", "size": 3, "metadata": {}}
    return event(type="artifact.stored", data=data | ({} if until is None else {"until": until}), at=at, **rest)


async def write(store: Any, *events: Event) -> None:
    await store.journal.append(Batch(events))


# --- the working set ------------------------------------------------------------------------------------------------


async def test_the_newest_value_of_a_key_is_the_one_that_is_kept(store: Any) -> None:
    await write(store, kept("a", [1, "é"]), kept("b", None, at=2), kept("a", {"x": 2}, at=3))
    assert sorted(await store.reader.kept.values("thread", "t1", ["a", "b", "c"])) == [
        ValueRow("thread", "t1", "a", {"x": 2}, "uid:0", 3),
        ValueRow("thread", "t1", "b", None, "uid:0", 2),
    ]
    await write(store, kept("é", "é"), dropped("a"), dropped("nothing"))
    assert await store.reader.kept.keys("thread", "t1") == [KeyRow("b", 4, "uid:0", 2), KeyRow("é", 4, "uid:0", 1)]


async def test_each_owner_has_keys_of_its_own(store: Any) -> None:
    await write(store, kept("k", 1), kept("k", 2, thread_id="t2"), kept("k", 3, "interaction"), kept("k", 4, "global"))

    async def value(scope: str, owner: str) -> list[Any]:
        return [row.value for row in await store.reader.kept.values(scope, owner, ["k"])]

    assert [await value("thread", "t1"), await value("thread", "t2")] == [[1], [2]]
    assert [await value("interaction", "i1"), await value("global", "")] == [[3], [4]]
    assert await value("thread", "nobody") == await value("interaction", "t1") == await value("thread", "") == []
    assert await store.reader.kept.keys("thread", "nobody") == []


async def test_more_keys_than_one_question_takes_are_all_found(store: Any) -> None:
    names = [f"k{n:04}" for n in range(1_300)]
    await write(store, *(kept(name, n) for n, name in enumerate(names)))
    found = await store.reader.kept.values("thread", "t1", names)
    assert sorted(row.value for row in found) == list(range(1_300))
    assert [row.key for row in await store.reader.kept.keys("thread", "t1")] == names


async def test_a_batch_that_is_refused_changes_nothing(store: Any) -> None:
    with pytest.raises(StoreError, match="JSON"):
        await write(store, kept("a", 1), kept("b", float("nan")))
    assert await store.reader.kept.keys("thread", "t1") == []


# --- references -----------------------------------------------------------------------------------------------------


async def test_a_reference_is_what_its_event_says(store: Any) -> None:
    data = {"digest": A, "type": "x", "media_type": "m/n", "name": "n", "size": 7, "metadata": {"k": [1]}, "until": 9}
    await write(store, event(), event(type="artifact.stored", data=data | {"by": "uid:1"}, step_id="s", at=4))
    await write(store, Event("artifact.stored", {**data, "digest": B, "metadata": {}}, "", at=5))
    first = ReferenceRow(2, A, "x", "m/n", "n", 7, {"k": [1]}, "t1", "i1", "s", "uid:1", 4, 9)
    second = first._replace(seq=3, digest=B, metadata={}, thread_id="", interaction_id="", step_id="", by="")
    assert await store.reader.kept.references() == [second._replace(created_at=5), first]


async def test_references_are_listed_newest_first_and_filtered(store: Any) -> None:
    await write(store, stored(A), stored(B, type_="image"), stored(A, thread_id="t2"), stored(B))

    async def found(**query: Any) -> list[int]:
        return [row.seq for row in await store.reader.kept.references(**query)]

    assert await found() == [4, 3, 2, 1]
    assert await found(digest=A) == [3, 1]
    assert await found(type_="image") == [2]
    assert await found(thread_id="t1", before=4) == [2, 1]
    assert await found(limit=1) == [4]
    assert await found(thread_id="nobody") == await found(limit=0) == await found(digest="x") == []


async def test_what_is_deleted_is_gone_and_the_content_stays_named_while_one_is_left(store: Any) -> None:
    await write(store, stored(A), stored(A), stored(B))
    await write(store, event(type="artifact.deleted", data={"digest": A, "rows": [1, 77], "reason": "asked"}))
    assert [row.seq for row in await store.reader.kept.references()] == [3, 2]
    assert await store.reader.kept.named([A, B, "sha256:c"]) == {A, B}
    await write(store, event(type="artifact.deleted", data={"digest": A, "rows": [2], "reason": "asked"}))
    assert await store.reader.kept.named([A, B]) == {B}


async def test_what_is_due_comes_in_order_and_page_by_page(store: Any) -> None:
    await write(store, stored(A, until=30), stored(A, until=10), stored(B), stored(B, until=10), stored(B, until=31))
    due = await store.reader.kept.due(30, limit=2)
    assert [(row.until, row.seq) for row in due] == [(10, 2), (10, 4)]
    assert [row.seq for row in await store.reader.kept.due(30, after=(10, 4))] == [1]
    assert await store.reader.kept.due(9) == []


async def test_a_digest_is_needed_while_an_interaction_that_names_it_goes_on(store: Any) -> None:
    output = event(data={"output": {"deep": [{"$artifact": A}]}})
    await store.journal.append(Batch([output], interaction=interaction("i1")))
    other = event(data={"stored": {"digest": B, "size": 1}}, interaction_id="i2")
    await store.journal.append(Batch([other], interaction=interaction("i2", state="completed")))
    assert await store.reader.kept.needed() == {A}
    await store.journal.append(Batch([event()], interaction=interaction("i1", state="failed")))
    assert await store.reader.kept.needed() == set()


# --- messages -------------------------------------------------------------------------------------------------------


async def test_ten_thousand_traces_do_not_push_out_a_message(store: Any) -> None:
    said = event(type="interaction.submitted", data={"intent": "survey"})
    answer = event(type="assistant.output", data={"text": "done"})
    elsewhere = event(type="interaction.submitted", data={"intent": "other"}, thread_id="t2")
    await write(store, said, *(event(n) for n in range(10_000)), elsewhere, answer)
    found = await store.reader.dialogue("t1", limit=20)
    assert [(e.type, e.seq) for e in found] == [("interaction.submitted", 1), ("assistant.output", 10_003)]
    assert found[0] == said._replace(seq=1)


async def test_a_dialogue_is_the_newest_messages_oldest_first(store: Any) -> None:
    await write(store, *(event(type="external.event", data={"kind": f"k{n}"}, interaction_id="") for n in range(30)))
    await write(store, event(type="external.event", data={"kind": "of no thread"}, thread_id=""))
    assert [e.data["kind"] for e in await store.reader.dialogue("t1", limit=3)] == ["k27", "k28", "k29"]
    assert len(await store.reader.dialogue("t1", limit=100)) == 30
    assert await store.reader.dialogue("t1", limit=0) == await store.reader.dialogue("nobody") == []
    assert await store.reader.dialogue("") == []


def test_no_question_looks_at_more_than_it_asks_for(tmp_path: Path) -> None:
    """By the plan that SQLite makes: a scan of a table would cost more with everything that was ever kept."""
    from orchestrald.store import kept_reader, reader
    from orchestrald.store.migrate import migrate

    path = tmp_path / "store.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, stamp="20260101T000000Z")
    questions = {
        reader._DIALOGUE: ("t", 1),
        f"{kept_reader._VALUES} (?)": ("thread", "t", "k"),
        kept_reader._KEYS: ("thread", "t"),
        f"{kept_reader._NAMED} (?)": ("d",),
        kept_reader._NEEDED: (),
        f"{kept_reader._REFERENCE} WHERE TRUE AND a.digest = ? ORDER BY a.seq DESC LIMIT ?": ("d", 1),
        f"{kept_reader._REFERENCE} WHERE TRUE AND a.type = ? ORDER BY a.seq DESC LIMIT ?": ("d", 1),
    }
    for sql, values in questions.items():
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert not [line for line in plan if line.startswith("SCAN") and "u USING INDEX" not in line], (sql, plan)
        assert not [line for line in plan if "TEMP B-TREE" in line], (sql, plan)
    connection.close()


async def test_an_older_store_gets_its_messages_and_its_stored_outputs(path: Path) -> None:
    from orchestrald.store.migrate import BUNDLED, migrate

    old = path.parent / "old"
    old.mkdir(parents=True)
    for script in sorted(BUNDLED.glob("*.sql")):
        if script.name.endswith("_memory.sql"):
            break
        (old / script.name).write_bytes(script.read_bytes())
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, stamp="20260101T000000Z", folder=old)
    connection.execute("INSERT INTO names (id, name) VALUES (1, 't1'), (2, 'i1')")
    for seq, step_id, type_, data in (
        (1, "", "interaction.submitted", {"intent": "survey"}),
        (2, "a", "step.succeeded", {"stored": {"digest": A, "size": 70000}, "ms": 1}),
        (3, "b", "step.succeeded", {"output": {"x": 1}, "ms": 1}),
        (4, "", "assistant.output", {"text": "done", "status": "completed"}),
    ):
        row = (seq, 1, 2, step_id, type_, 6, 1, json.dumps(data))
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()
    async with open_store(path) as store:
        (row,) = await store.reader.kept.references()
        assert row == ReferenceRow(
            2, A, "document", "application/json", "a.json", 70000, {}, "t1", "i1", "a", "", 6, None
        )
        assert [e.seq for e in await store.reader.dialogue("t1")] == [1, 4]
        assert await store.reader.kept.since() > 1_700_000_000_000_000
