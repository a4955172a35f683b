"""Do both stores count the same of the same model calls?"""

from typing import Any

from orchestrald.core.events import Event
from orchestrald.store.base import Batch
from orchestrald.store.base_calls import Spent, UsageRow
from store.both import both_stores  # noqa: F401  a fixture
from store.samples import event

DAY = 86_400_000_000


async def ask(store: Any, at: int = 1, model: str = "b/m", tokens: int = 100, cost: int | None = 50, **of: Any) -> int:
    data = {"part": "round 1", "number": 1, "purpose": "plan", "model": model, "tokens": tokens}
    data |= {} if cost is None else {"cost": cost}
    (stored,) = await store.journal.append(Batch([event(type="model.asked", data=data, at=at, **of)]))
    return int(stored.seq)


def answered(asked: int, tokens: tuple[int, int, int] = (10, 4, 5), cost: int | None = 7, **of: Any) -> Event:
    taken = dict(zip(("input", "cached", "output"), tokens, strict=True))
    data = {"asked": asked, "backend": "b", "model": "m-1", "tokens": taken, "ms": 20, "text": "x"}
    return event(type="model.answered", data=data | ({} if cost is None else {"cost": cost}), at=2, **of)


def failed(asked: int, **of: Any) -> Event:
    return event(type="model.failed", data={"asked": asked, "error": {"code": "x", "message": "y"}, "ms": 3}, **of)


async def test_a_call_on_its_way_counts_with_the_most_that_it_may_take_and_then_with_what_it_took(store: Any) -> None:
    first = await ask(store)
    assert await store.reader.calls.spent(interaction_id="i1") == Spent(1, 100, 50)
    await store.journal.append(Batch([answered(first)]))
    assert await store.reader.calls.spent(interaction_id="i1") == Spent(1, 15, 7)
    second = await ask(store)
    await store.journal.append(Batch([failed(second)]))
    assert await store.reader.calls.spent(interaction_id="i1") == Spent(2, 15, 7)


async def test_what_one_interaction_spent_and_what_was_spent_since_are_told_apart(store: Any) -> None:
    await ask(store, at=5)
    await ask(store, at=6, interaction_id="i2", cost=None)
    await ask(store, at=7, interaction_id="", thread_id="")
    assert await store.reader.calls.spent(interaction_id="i2") == Spent(1, 100, 0)
    assert await store.reader.calls.spent(interaction_id="nobody") == Spent()
    assert await store.reader.calls.spent(since=5) == Spent(2, 200, 50)
    assert await store.reader.calls.spent() == Spent(3, 300, 100)


async def test_usage_is_told_by_day_by_interaction_and_by_model(store: Any) -> None:
    asked = await ask(store, at=1)
    await store.journal.append(Batch([answered(asked)]))
    asked = await ask(store, at=2, interaction_id="i2")
    await store.journal.append(Batch([failed(asked, interaction_id="i2")]))
    asked = await ask(store, at=DAY + 1)
    await store.journal.append(Batch([answered(asked, (20, 0, 1), None)]))
    await ask(store, at=DAY + 2, interaction_id="", thread_id="", model="free", cost=None)
    usage = store.reader.calls.usage
    assert await usage("day") == [
        UsageRow("1970-01-02", 2, 0, 1, 20, 0, 1, 100, 0, 2, 20),
        UsageRow("1970-01-01", 2, 1, 0, 10, 4, 5, 0, 7, 0, 23),
    ]
    assert [(row.key, row.calls) for row in await usage("interaction")] == [("", 1), ("i1", 2), ("i2", 1)]
    assert [(row.key, row.calls, row.cost) for row in await usage("model")] == [
        ("b/m-1", 2, 7),
        ("b/m", 1, 0),
        ("free", 1, 0),
    ]
    assert [row.key for row in await usage("day", since=DAY)] == ["1970-01-02"]
    assert [row.key for row in await usage("day", until=DAY)] == ["1970-01-01"]
    assert [row.key for row in await usage("interaction", limit=1)] == [""]
    assert await usage("model", since=2 * DAY) == []
