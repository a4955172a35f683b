"""Who hears of a journal that fails, whoever was appending?

An actor's append and that of a client's request meet the same disk. The first failure is about all of us, so the engine
is told at once: it stops, and a restart is clean.
"""

from collections.abc import Callable, Sequence

from orchestrald.core.events import Event
from orchestrald.errors import StoreError
from orchestrald.store.base import Appender, Batch


class WatchedJournal:
    """`store.base.Appender`. `on_failure` hears the error that ends the writing, before its appender goes on."""

    def __init__(self, journal: Appender, on_failure: Callable[[StoreError], None]) -> None:
        self._journal = journal
        self._on_failure = on_failure

    @property
    def failed(self) -> str:
        return self._journal.failed

    async def append(self, batch: Batch) -> Sequence[Event]:
        try:
            return await self._journal.append(batch)
        except StoreError as error:
            if self._journal.failed:
                self._on_failure(error)
            raise
