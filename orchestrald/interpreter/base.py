"""Who puts an outcome into words, seen from the engine?"""

from typing import Protocol

from orchestrald.core.interaction import Interaction


class Interpreter(Protocol):
    def explain(self, state: Interaction, status: str) -> str:
        """Plain words for `completed`, `failed` or `cancelled`. Must not fail, wait, or look outside `state`."""
        ...
