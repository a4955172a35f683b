"""What does the rest of the daemon need from the store?

Two seams: a `Journal` that one owner writes, and a `Reader` that anybody may query. `memory` and `sqlite` implement
both, and one contract test holds them to it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from orchestrald.core.events import Event
from orchestrald.store.base_calls import Calls
from orchestrald.store.base_kept import Kept


class InteractionRow(NamedTuple):
    """An interaction as it is listed: a projection, written in the transaction of the events that changed it.

    `answer` is the text of its assistant output; missing until there is one. `waiting` holds the ids of the steps
    that wait for an answer; empty when none does. `resting`: a start of the daemon need not fold it. Times are UTC
    microseconds.
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
    resting: bool = False


class ThreadRow(NamedTuple):
    """`policy` empty means the configured one; `archived_at` missing that it takes inputs."""

    thread_id: str
    title: str
    created_at: int
    metadata: Mapping[str, Any] = MappingProxyType({})
    policy: str = ""
    archived_at: int | None = None


class WaitRow(NamedTuple):
    """A step that waits. `event_kind` and `correlation` are missing where it does not wait for an event, or for any.

    `kind` is the question's, `action` empty for a wait step. `question` is as in step.waiting.
    """

    interaction_id: str
    thread_id: str
    step_id: str
    kind: str
    event_kind: str | None
    correlation: str | None
    asked_at: int
    due_at: int | None
    action: str
    question: dict[str, Any]


class WaitsChange(NamedTuple):
    """What waits from now on, and which steps do no more; `over`: none of the interaction's does, whatever it was."""

    began: Sequence[WaitRow] = ()
    ended: Sequence[str] = ()
    over: bool = False


class MailRow(NamedTuple):
    """An external event that no step has taken; its content is the event `seq`. `thread_id` empty: for any thread."""

    seq: int
    thread_id: str
    kind: str
    correlation: str | None
    until: int


class RestingRow(NamedTuple):
    """An unfinished interaction that rests: as much as its thread needs to know of it."""

    interaction_id: str
    thread_id: str
    state: str
    created_at: int


class RequestRow(NamedTuple):
    """What a request_id was answered with, so that a repetition gets the same answer instead of a second run."""

    by: str
    method: str
    request_id: str
    params_hash: str
    result: dict[str, Any]
    at: int


class ScheduleRow(NamedTuple):
    """What starts interactions by itself.

    `trigger` is as `core.triggers` writes it. `plan` missing means that `intent` is submitted. `thread_id` empty gives
    every firing a thread of its own. `next_at` is the first moment that was not dealt with yet; missing when there is
    none to wait for. `last` says what became of the newest firing; missing before the first.
    """

    schedule_id: str
    name: str
    state: str
    trigger: dict[str, Any]
    misfire: str
    intent: str
    plan: Any
    thread_id: str
    workspace: str
    labels: dict[str, str]
    by: str
    created_at: int
    next_at: int | None
    fired: int
    last: dict[str, Any] | None


class ScheduleChange(NamedTuple):
    """What becomes of a schedule; a missing `row` means that it is gone, with all that is known of its files.

    `seen` holds versions of files that have been dealt with, by path; a missing version forgets the file.
    """

    schedule_id: str
    row: ScheduleRow | None
    seen: Mapping[str, str | None] = MappingProxyType({})


class Batch(NamedTuple):
    """What one state transition commits, all of it or nothing.

    `waits` is what changes among those of `interaction`; missing means that they are as before. `mail` is kept for a
    step that may wait for it later; its `seq` 0 stands for the first of `events`. Mail in `taken` is done with.
    """

    events: Sequence[Event] = ()
    interaction: InteractionRow | None = None
    thread: ThreadRow | None = None
    request: RequestRow | None = None
    waits: WaitsChange | None = None
    mail: MailRow | None = None
    taken: Sequence[int] = ()
    schedule: ScheduleChange | None = None


class Appender(Protocol):
    """Where events are written."""

    @property
    def failed(self) -> str:
        """Why nothing is appended any more; empty while all is well: then a StoreError is about one batch."""
        ...

    async def append(self, batch: Batch) -> Sequence[Event]:
        """The batch's events with their `seq` (gap-free in commit order). Raises StoreError; then nothing is stored."""
        ...


class Journal(Appender, Protocol):
    """The only writer. `append` returns after the batch is durable."""

    on_commit: Callable[[Sequence[Event]], None]
    """Called in seq order, synchronously, with the events of each commit, before the appenders are woken."""


class Reader(Protocol):
    @property
    def kept(self) -> Kept:
        """The working set, and what is known of references."""
        ...

    @property
    def calls(self) -> Calls:
        """What was spent on models."""
        ...

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
        """Every event of each interaction that neither is final nor rests, by interaction, in seq order."""
        ...

    async def resting(self) -> list[RestingRow]:
        """The others that are not final, oldest first."""
        ...

    async def waits(
        self, *, kinds: Sequence[str] | None = None, thread_id: str | None = None, interaction_id: str | None = None
    ) -> list[WaitRow]:
        """What waits, oldest first."""
        ...

    async def mail(self) -> list[MailRow]:
        """The external events that no step has taken, oldest first."""
        ...

    async def request(self, by: str, method: str, request_id: str) -> RequestRow | None: ...

    async def thread(self, thread_id: str) -> ThreadRow | None: ...

    async def threads(self, *, limit: int = 50, archived: bool = False) -> list[ThreadRow]:
        """Newest first; those that are archived only when asked for."""
        ...

    async def dialogue(self, thread_id: str, *, limit: int = 20) -> list[Event]:
        """The newest messages of the thread (`core.dialogue`), oldest first, however many traces lie between them."""
        ...

    async def schedules(self) -> list[ScheduleRow]:
        """All of them, oldest first."""
        ...

    async def seen_files(self, schedule_id: str) -> dict[str, str]:
        """The version of each file that the schedule has dealt with, by path; empty when there is none."""
        ...


class ReferenceStore(Protocol):
    """Content-addressed bytes: `put` is durable (file and folder fsynced) when it returns the digest."""

    async def put(self, content: bytes) -> str:
        """The digest, `sha256:<hex>`. Storing the same content again is free."""
        ...

    async def get(self, digest: str) -> bytes:
        """Raises NotFound when the digest is unknown, DamagedReference when the content no longer matches it."""
        ...

    async def remove(self, digest: str) -> bool:
        """False, and it stays, when somebody stored it within the last minute: its event may be on its way. Nothing
        happens when it is not there. Raises StoreError when it cannot go."""
        ...

    async def digests(self, since: int) -> list[str]:
        """What was first stored after that moment (UTC microseconds), as far as the disk remembers; in any order."""
        ...
