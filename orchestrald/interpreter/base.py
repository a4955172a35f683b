"""Who puts an outcome into words, seen from the engine?"""

from typing import Protocol

from orchestrald.core.interaction import Interaction
from orchestrald.models.base import Calls, Hear


class Interpreter(Protocol):
    def explain(self, state: Interaction, status: str) -> str:
        """Plain words for `completed`, `failed` or `cancelled`. Must not fail, wait, or look outside `state`."""
        ...

    def wants_to_narrate(self, state: Interaction, status: str) -> bool:
        """Whether it would rather have `narrate` asked, which takes time. Must not fail or wait."""
        ...

    async def narrate(self, state: Interaction, status: str, calls: Calls, hear: Hear) -> str:
        """The same in better words, whose pieces go to `hear` as they come. May raise anything: then `explain` is."""
        ...
