"""What does the rest of the daemon need from the store?

Two seams: a `Journal` that one owner writes, and a `Reader` that anybody may query. `memory` and `sqlite` implement
both, and one contract test holds them to it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from orchestrald.core.events import Event


class InteractionRow(NamedTuple):
    """An interaction as it is listed: a projection, written in the transaction of the events that changed it.

    `answer` is the text of its assistant output; missing until there is one. `waiting` holds the ids of the steps
    that wait for an answer; empty when none does. Times are UTC microseconds.
    """

    interaction_id: str
    thread_id: str
    state: str
    intent: str
    source: str
    by: str
    workspace: str
    created_at: int
    updated_at: int
    ended_at: int | None
    answer: str | None
    waiting: tuple[str, ...]
    steps: int
    finished: int


class ThreadRow(NamedTuple):
    thread_id: str
    title: str
    created_at: int


class RequestRow(NamedTuple):
    """What a request_id was answered with, so that a repetition gets the same answer instead of a second run."""

    by: str
    method: str
    request_id: str
    params_hash: str
    result: dict[str, Any]
    at: int


class Batch(NamedTuple):
    """What one state transition commits, all of it or nothing."""

    events: Sequence[Event] = ()
    interaction: InteractionRow | None = None
    thread: ThreadRow | None = None
    request: RequestRow | None = None


class Journal(Protocol):
    """The only writer. `append` returns after the batch is durable."""

    on_commit: Callable[[Sequence[Event]], None]
    """Called in seq order, synchronously, with the events of each commit, before the appenders are woken."""

    failed: str
    """Why nothing is appended any more; empty while all is well. A StoreError while it is empty is about one batch."""

    async def append(self, batch: Batch) -> Sequence[Event]:
        """The batch's events with their `seq` (gap-free in commit order). Raises StoreError; then nothing is stored."""
        ...


class Reader(Protocol):
    async def events(
        self,
        *,
        after_seq: int = 0,
        limit: int = 500,
        interaction_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        """At most `limit` events with `seq` greater than `after_seq`, oldest first."""
        ...

    async def last_seq(self) -> int:
        """The newest committed `seq`; 0 when there is no event."""
        ...

    async def oldest_seq(self) -> int:
        """The oldest `seq` that is kept; 0 when there is no event."""
        ...

    async def epoch(self) -> str:
        """A random name made with the store: a client whose epoch differs must forget its cursors."""
        ...

    async def interaction(self, interaction_id: str) -> InteractionRow | None: ...

    async def interactions(
        self,
        *,
        thread_id: str | None = None,
        states: Sequence[str] | None = None,
        limit: int = 50,
        before: tuple[int, str] | None = None,
    ) -> list[InteractionRow]:
        """Newest first by (created_at, interaction_id); `before` is the last pair of the page before."""
        ...

    async def unfinished(self) -> dict[str, list[Event]]:
        """Every event of each interaction that is not final, by interaction, in seq order: what recovery folds."""
        ...

    async def request(self, by: str, method: str, request_id: str) -> RequestRow | None: ...

    async def thread(self, thread_id: str) -> ThreadRow | None: ...

    async def threads(self, *, limit: int = 50) -> list[ThreadRow]: ...


class ReferenceStore(Protocol):
    """Content-addressed bytes: `put` is durable (file and folder fsynced) when it returns the digest."""

    async def put(self, content: bytes) -> str:
        """The digest, `sha256:<hex>`. Storing the same content again is free."""
        ...

    async def get(self, digest: str) -> bytes:
        """Raises NotFound when the digest is unknown, StoreError when the content no longer matches it."""
        ...
