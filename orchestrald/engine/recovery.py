"""What was going on when the daemon stopped?

Events with stored outputs are folded with those outputs loaded: later steps, conditions and items refer to them.
"""

from collections.abc import Iterable

import trio
from pydantic_core import from_json

from orchestrald.core.events import Event
from orchestrald.core.evolve import fold
from orchestrald.core.interaction import Interaction
from orchestrald.store.base import Reader, ReferenceStore

BUSY_EVENTS = 2_000
"""A fold longer than this many events is done in a thread: it would hold up everybody else for tens of milliseconds."""


async def load(reader: Reader, references: ReferenceStore) -> list[tuple[Interaction, int]]:
    """Every unfinished interaction and the newest `seq` that it includes, oldest first."""
    found = []
    for events in (await reader.unfinished()).values():
        found.append((await hydrate(events, references), events[-1].seq))
    return found


async def hydrate(events: list[Event], references: ReferenceStore) -> Interaction:
    """The state after these events, with its stored outputs. Raises NotFound or StoreError when one is lost."""
    loaded = {digest: from_json(await references.get(digest)) for digest in _digests(events)}
    if len(events) <= BUSY_EVENTS:
        return fold(events, loaded)
    return await trio.to_thread.run_sync(fold, events, loaded)


def _digests(events: Iterable[Event]) -> set[str]:
    return {event.data["stored"]["digest"] for event in events if "stored" in event.data}
