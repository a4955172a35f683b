"""What was going on when the daemon stopped?

Events with stored outputs are folded with those outputs loaded: later steps, conditions and items refer to them.
"""

import logging
from collections.abc import Iterable
from typing import NamedTuple

import trio
from pydantic_core import from_json

from orchestrald.core.events import Event
from orchestrald.core.evolve import fold
from orchestrald.core.interaction import Interaction
from orchestrald.errors import DamagedReference, NotFound, OrchestralError
from orchestrald.store.base import Batch, Reader, ReferenceStore, WaitsChange

log = logging.getLogger("orchestrald.engine")

BUSY_EVENTS = 2_000
"""A fold longer than this many events is done in a thread: it would hold up everybody else for tens of milliseconds."""


class Lost(NamedTuple):
    """An unfinished interaction that cannot go on, and why, as a code and in words."""

    interaction_id: str
    thread_id: str
    code: str
    text: str


async def load(reader: Reader, references: ReferenceStore) -> tuple[list[tuple[Interaction, int]], list[Lost]]:
    """Every unfinished interaction and the newest `seq` that it includes, oldest first; and those that are lost.

    One whose events make no sense to this version is left as it is, for one to which they do: it is only logged.
    Raises StoreError when something cannot be read: that may be mended, so nothing is given up for it.
    """
    found, lost = [], []
    for interaction_id, events in (await reader.unfinished()).items():
        try:
            found.append((await hydrate(events, references), events[-1].seq))
        except (NotFound, DamagedReference) as error:
            text = f"Failed: an output that a later step needs is lost. {error.message} Was it restored by half?"
            lost.append(Lost(interaction_id, events[-1].thread_id, "lost_output", text))
        except OrchestralError:
            raise
        except Exception:
            log.exception("interaction %s is left alone: its events cannot be followed", interaction_id)
    return found, lost


async def farewell(reader: Reader, lost: Lost, at: int) -> Batch:
    """The end of a lost interaction, in words. Its state is not folded for it: that is what cannot be done."""
    text, error = lost.text, {"code": lost.code, "message": lost.text}
    events = [
        Event("assistant.output", {"text": text, "status": "failed"}, lost.thread_id, lost.interaction_id, at=at),
        Event("interaction.failed", {"error": error}, lost.thread_id, lost.interaction_id, at=at),
    ]
    row = await reader.interaction(lost.interaction_id)
    ended = row and row._replace(state="failed", updated_at=at, ended_at=at, answer=text, waiting=(), resting=False)
    return Batch(events, ended, waits=WaitsChange(over=True))


async def hydrate(events: list[Event], references: ReferenceStore, *, to_show: bool = False) -> Interaction:
    """The state after these events, with its stored outputs.

    Raises NotFound, DamagedReference or StoreError when one is lost. To show what has ended it may be: then it is
    missing from `loaded`.
    """
    loaded = {}
    for digest in _digests(events):
        try:
            loaded[digest] = from_json(await references.get(digest))
        except (NotFound, DamagedReference) as error:
            if not (to_show and _ended(events)):
                raise
            if isinstance(error, DamagedReference):
                loaded[digest] = None  # it was not pruned, and who asks for it will hear what it is
    if len(events) <= BUSY_EVENTS:
        return fold(events, loaded)
    return await trio.to_thread.run_sync(fold, events, loaded)


def _ended(events: list[Event]) -> bool:
    """Whether the last move of the interaction was its end; a fork of it or a write to its memory may come after."""
    moves = (event.type for event in reversed(events) if event.type.startswith(("interaction.", "plan.", "step.")))
    return next((move for move in moves if move != "step.violation"), "") in _ENDS


_ENDS = frozenset({"interaction.completed", "interaction.failed", "interaction.cancelled"})


def _digests(events: Iterable[Event]) -> set[str]:
    stored = [event.data["stored"] for event in events if "stored" in event.data]
    carried = (result for event in events if "carried" in event.data for result in event.data["carried"].values())
    return {each["digest"] for each in (*stored, *(result["stored"] for result in carried if "stored" in result))}
