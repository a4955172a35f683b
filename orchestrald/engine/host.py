"""What do the parts of the engine need of the whole?

The seam between `engine`, which knows who is in memory and when all ends, and the parts beside it, which do not import
it.
"""

from collections.abc import Callable
from typing import Any, Protocol

from orchestrald.core.inputs import Input
from orchestrald.core.interaction import Interaction
from orchestrald.engine.actor import Actor
from orchestrald.errors import OrchestralError


class Host(Protocol):
    """`live` are the interactions in memory; `max_replans` is 0 where no planner could replan."""

    live: dict[str, Actor]
    max_replans: int

    @property
    def draining(self) -> bool: ...

    @property
    def stopped(self) -> bool: ...

    def ended(self) -> OrchestralError:
        """Why nothing can be asked any more."""
        ...

    def spawn(self, function: Callable[..., Any], *arguments: Any) -> None: ...

    def adopt(self, interaction_id: str, state: Interaction) -> Actor: ...

    async def wake(self, interaction_id: str) -> Actor:
        """Bring it back from the journal where it is not in memory, and tell it something at once."""
        ...

    async def ask(self, actor: Actor, happened: Input, remember: Any) -> None:
        """Returns when the consequences are durable. Raises what it was refused with."""
        ...

    async def deliver(self, interaction_id: str, happened: Input) -> None:
        """Tell it something that nobody waits for an answer to."""
        ...

    async def store_large(self, step_id: str, value: Any) -> dict[str, Any] | None:
        """The data of the artifact.stored of a value that is too large for an event; missing when it is not."""
        ...
