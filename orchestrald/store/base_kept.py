"""What can be asked of the things that outlive an interaction: the working set, and what is known of references?

The second half of `base`: `Reader.kept`. Nobody writes these rows: they are projections of `memory.*` and `artifact.*`
events, made in the transaction of the event, by both stores alike (`kept`).
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol


class ValueRow(NamedTuple):
    """A value in the working set. `owner` is an interaction or a thread; empty in the scope that is everybody's.

    `by` is who wrote it: `uid:1000`, or `interaction/step`.
    """

    scope: str
    owner: str
    key: str
    value: Any
    by: str
    at: int


class KeyRow(NamedTuple):
    """The same without the value; `size` is that of its JSON in bytes."""

    key: str
    size: int
    by: str
    at: int


class ReferenceRow(NamedTuple):
    """One occasion on which content was stored: the same content may have several, and stays while it has one.

    `seq` is that of its event. The ids are empty where nothing of that kind made it; `by` is a person, empty if a step
    made it. `until` is when it may go; missing means that it is kept for ever.
    """

    seq: int
    digest: str
    type: str
    media_type: str
    name: str
    size: int
    metadata: dict[str, Any]
    thread_id: str
    interaction_id: str
    step_id: str
    by: str
    created_at: int
    until: int | None


class Kept(Protocol):
    async def values(self, scope: str, owner: str, keys: Sequence[str]) -> list[ValueRow]:
        """Those of the keys that hold something, in no particular order."""
        ...

    async def keys(self, scope: str, owner: str) -> list[KeyRow]:
        """All of an owner's keys, by name."""
        ...

    async def references(
        self,
        *,
        digest: str | None = None,
        type_: str | None = None,
        thread_id: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[ReferenceRow]:
        """Newest first by `seq`; `before` is the last `seq` of the page before."""
        ...

    async def due(self, now: int, *, after: tuple[int, int] = (0, 0), limit: int = 500) -> list[ReferenceRow]:
        """References whose `until` is not after `now`, by (until, seq); `after` is the last pair of the page before."""
        ...

    async def named(self, digests: Collection[str]) -> set[str]:
        """Those of the digests that a reference has."""
        ...

    async def needed(self) -> set[str]:
        """Every digest that stands in an event of an interaction that is not final."""
        ...

    async def since(self) -> int:
        """The moment from which on every stored content has a reference; 0 when that is so from the beginning."""
        ...
