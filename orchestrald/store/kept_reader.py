"""How are the working set and the rows of references asked for? `base_kept.Kept`, on disk and in the fake.

Rules of this file:

- Every question is answered by an index: none costs more for what is kept beside what was asked for. The one that reads
  events (`needed`) reads those of unfinished interactions, and is asked once a day.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import trio

from orchestrald.store.base_kept import KeyRow, ReferenceRow, ValueRow
from orchestrald.store.rows import decode, is_final

if TYPE_CHECKING:
    from orchestrald.store.memory import MemoryJournal

T = TypeVar("T")

_MOST_NAMES = 500
"""Of one question: SQLite takes a bounded number of values."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

# 0 owns what is everybody's. A name that nobody has comes to it as well, and finds nothing of its scope there.
_VALUES = """
SELECT key, value, made_by, at FROM working_set
WHERE scope = ? AND owner = coalesce((SELECT id FROM names WHERE name = ?), 0) AND key IN
"""

_KEYS = """
SELECT key, length(CAST(value AS BLOB)), made_by, at FROM working_set
WHERE scope = ? AND owner = coalesce((SELECT id FROM names WHERE name = ?), 0)
ORDER BY key
"""

_NAMED = "SELECT digest FROM artifacts WHERE digest IN"

_REFERENCE = """
SELECT a.seq, a.digest, a.type, a.media_type, a.name, a.size, a.metadata, coalesce(t.name, ''), coalesce(i.name, ''),
    a.step_id, a.made_by, a.created_at, a.until
FROM artifacts a LEFT JOIN names t ON t.id = a.thread LEFT JOIN names i ON i.id = a.interaction
"""

_NEEDED = """
SELECT e.data FROM interactions u INDEXED BY interactions_unfinished
    CROSS JOIN events e INDEXED BY events_of_interaction ON e.interaction = u.id
WHERE u.final = 0 AND instr(e.data, 'sha256:') > 0
"""


class Select(Protocol):
    """`SqliteReader`'s way to run one SELECT."""

    def __call__(self, make: Callable[[tuple[Any, ...]], T], sql: str, *values: Any) -> Awaitable[list[T]]: ...


class SqliteKept:
    def __init__(self, select: Select) -> None:
        self._select = select

    async def values(self, scope: str, owner: str, keys: Sequence[str]) -> list[ValueRow]:
        found: list[ValueRow] = []

        def value_of(row: tuple[Any, ...]) -> ValueRow:
            return ValueRow(scope, owner, row[0], decode(row[1]), *row[2:])

        for some in _portions(keys):
            found += await self._select(value_of, f"{_VALUES} ({_marks(some)})", scope, owner, *some)
        return found

    async def keys(self, scope: str, owner: str) -> list[KeyRow]:
        return await self._select(KeyRow._make, _KEYS, scope, owner)

    async def references(
        self,
        *,
        digest: str | None = None,
        type_: str | None = None,
        thread_id: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[ReferenceRow]:
        where = ["TRUE"]
        values: list[Any] = []
        for condition, value in (
            ("a.digest = ?", digest),
            ("a.type = ?", type_),
            ("a.thread = (SELECT id FROM names WHERE name = ?)", thread_id),
            ("a.seq < ?", before),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        sql = f"{_REFERENCE} WHERE {' AND '.join(where)} ORDER BY a.seq DESC LIMIT ?"
        return await self._select(_reference_of, sql, *values, max(limit, 0))

    async def due(self, now: int, *, after: tuple[int, int] = (0, 0), limit: int = 500) -> list[ReferenceRow]:
        sql = f"{_REFERENCE} WHERE a.until <= ? AND (a.until, a.seq) > (?, ?) ORDER BY a.until, a.seq LIMIT ?"
        return await self._select(_reference_of, sql, now, *after, max(limit, 0))

    async def named(self, digests: Collection[str]) -> set[str]:
        found: set[str] = set()
        for some in _portions(sorted(digests)):
            found.update(await self._select(lambda row: str(row[0]), f"{_NAMED} ({_marks(some)})", *some))
        return found

    async def needed(self) -> set[str]:
        return set().union(*await self._select(lambda row: digests_in(row[0]), _NEEDED))

    async def since(self) -> int:
        (found,) = await self._select(
            lambda row: int(row[0]), "SELECT value FROM meta WHERE key = 'references_since_us'"
        )
        return found


class MemoryKept:
    def __init__(self, journal: "MemoryJournal") -> None:
        self._journal = journal

    async def values(self, scope: str, owner: str, keys: Sequence[str]) -> list[ValueRow]:
        await trio.lowlevel.checkpoint()
        return [row for row in self._journal.kept.value_rows(scope, owner, decode) if row.key in keys]

    async def keys(self, scope: str, owner: str) -> list[KeyRow]:
        await trio.lowlevel.checkpoint()
        return self._journal.kept.key_rows(scope, owner)

    async def references(
        self,
        *,
        digest: str | None = None,
        type_: str | None = None,
        thread_id: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[ReferenceRow]:
        await trio.lowlevel.checkpoint()
        found = [
            row
            for seq, row in sorted(self._journal.kept.references.items(), reverse=True)
            if digest in {None, row.digest}
            and type_ in {None, row.type}
            and thread_id in {None, row.thread_id}
            and (before is None or seq < before)
        ]
        return found[: max(limit, 0)]

    async def due(self, now: int, *, after: tuple[int, int] = (0, 0), limit: int = 500) -> list[ReferenceRow]:
        await trio.lowlevel.checkpoint()
        rows = (row for row in self._journal.kept.references.values() if row.until is not None)
        found = sorted((row.until or 0, row.seq, row) for row in rows)
        return [row for until, seq, row in found if until <= now and (until, seq) > after][: max(limit, 0)]

    async def named(self, digests: Collection[str]) -> set[str]:
        await trio.lowlevel.checkpoint()
        return {row.digest for row in self._journal.kept.references.values()} & set(digests)

    async def needed(self) -> set[str]:
        await trio.lowlevel.checkpoint()
        alive = {row.interaction_id for row in self._journal.interactions.values() if not is_final(row.state)}
        return set().union(*(digests_in(data) for event, data in self._journal.stored if event.interaction_id in alive))

    async def since(self) -> int:
        await trio.lowlevel.checkpoint()
        return 0


def digests_in(text: str) -> set[str]:
    return set(_DIGEST.findall(text))


def _reference_of(row: tuple[Any, ...]) -> ReferenceRow:
    return ReferenceRow._make(row)._replace(metadata=decode(row[6]))


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[i : i + _MOST_NAMES] for i in range(0, len(values), _MOST_NAMES))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
