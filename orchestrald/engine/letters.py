"""What lies in an actor's inbox, and what becomes of a sender who waits?"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import trio

from orchestrald.core.events import Event
from orchestrald.core.inputs import Input
from orchestrald.core.interaction import Interaction
from orchestrald.core.turn import Refusal
from orchestrald.store.base import RequestRow

Remember = Callable[[Interaction], RequestRow]
"""Makes the durable answer of a request from the state that the request led to; committed with its events."""


@dataclass(slots=True)
class Reply:
    """What became of an input whose sender waits for it: `done` once its events are durable.

    `lost` means that the actor ended first, as the journal failed or the daemon stops: nobody knows what became of it.
    """

    lost: bool = False
    refusal: Refusal | None = None
    events: list[Event] = field(default_factory=list)
    done: trio.Event = field(default_factory=trio.Event)


class Letter(NamedTuple):
    """An input, and who waits for what becomes of it; missing where nobody does."""

    happened: Input
    reply: Reply | None = None
    remember: Remember | None = None
