"""How is asked what was spent on models? `base_calls.Calls`, on disk and in the fake."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import trio

from orchestrald.store.base_calls import By, Spent, UsageRow
from orchestrald.store.kept_reader import Select
from orchestrald.store.model_calls import Row, Settled

if TYPE_CHECKING:
    from orchestrald.store.memory import MemoryJournal

_SPENT = "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(cost), 0) FROM model_calls WHERE"

_KEYS: dict[By, tuple[str, str]] = {
    "day": ("strftime('%Y-%m-%d', c.at / 1000000, 'unixepoch')", "1 DESC"),
    "interaction": ("coalesce(n.name, '')", "max(c.at) DESC, 1"),
    "model": ("c.model", "sum(c.cost) DESC, 1"),
}

_USAGE = """
SELECT {key}, count(*), sum(c.state = 'failed'), sum(c.state = 'asked'), sum(c.input), sum(c.cached), sum(c.output),
    sum(iif(c.state = 'asked', c.tokens, 0)), coalesce(sum(c.cost), 0), sum(c.cost IS NULL), sum(c.ms)
FROM model_calls c LEFT JOIN names n ON n.id = c.interaction
WHERE c.at > ? AND c.at <= ? GROUP BY 1 ORDER BY {order} LIMIT ?
"""

_END_OF_TIME = (1 << 63) - 1


class SqliteCalls:
    def __init__(self, select: Select) -> None:
        self._select = select

    async def spent(self, *, interaction_id: str = "", since: int = 0) -> Spent:
        where, value = ("at > ?", since) if not interaction_id else (
            "interaction = (SELECT id FROM names WHERE name = ?)", interaction_id
        )  # fmt: skip
        (found,) = await self._select(Spent._make, f"{_SPENT} {where}", value)
        return found

    async def usage(self, by: By, *, since: int = 0, until: int | None = None, limit: int = 100) -> list[UsageRow]:
        key, order = _KEYS[by]
        sql = _USAGE.format(key=key, order=order)
        return await self._select(UsageRow._make, sql, since, _END_OF_TIME if until is None else until, max(limit, 0))


class MemoryCalls:
    def __init__(self, journal: "MemoryJournal") -> None:
        self._journal = journal

    async def spent(self, *, interaction_id: str = "", since: int = 0) -> Spent:
        await trio.lowlevel.checkpoint()
        rows = self._journal.calls.rows.values()
        found = [r.said for r in rows if (r.interaction_id == interaction_id if interaction_id else r.at > since)]
        return Spent(len(found), sum(said.tokens for said in found), sum(said.cost or 0 for said in found))

    async def usage(self, by: By, *, since: int = 0, until: int | None = None, limit: int = 100) -> list[UsageRow]:
        await trio.lowlevel.checkpoint()
        groups: dict[str, list[Row]] = {}
        for row in self._journal.calls.rows.values():
            if since < row.at <= (_END_OF_TIME if until is None else until):
                groups.setdefault(_key(by, row), []).append(row)
        newest = {key: max(row.at for row in rows) for key, rows in groups.items()}
        found = [_summed(key, [row.said for row in rows]) for key, rows in sorted(groups.items())]
        if by == "model":
            found.sort(key=lambda row: -row.cost)
        else:
            found.sort(key=lambda row: row.key if by == "day" else newest[row.key], reverse=True)
        return found[: max(limit, 0)]


def _key(by: By, row: Row) -> str:
    if by == "day":
        return datetime.fromtimestamp(row.at // 1_000_000, UTC).strftime("%Y-%m-%d")
    return row.interaction_id if by == "interaction" else row.said.model or ""


def _summed(key: str, said: Iterable[Settled]) -> UsageRow:
    said = list(said)
    return UsageRow(
        key=key,
        calls=len(said),
        failed=sum(each.state == "failed" for each in said),
        lost=sum(each.state == "asked" for each in said),
        input=sum(each.input for each in said),
        cached=sum(each.cached for each in said),
        output=sum(each.output for each in said),
        reserved=sum(each.tokens for each in said if each.state == "asked"),
        cost=sum(each.cost or 0 for each in said),
        unpriced=sum(each.cost is None for each in said),
        ms=sum(each.ms for each in said),
    )
