"""How much may run at once?

The shell's counters, seen from the core. They arrive with each input, as time does: taking a slot changes the shell's
counters, never the core's state, so a replay needs none.
"""

from typing import Protocol


class Slots(Protocol):
    """The shell's word on how much may run at once. Taking changes the shell's counters, never the core's state."""

    def has_room(self, running: int) -> bool:
        """Whether an interaction that runs `running` steps may start another."""
        ...

    def take(self, action: str) -> bool:
        """Take a slot for this action; False when its own limit is reached."""
        ...


class Unlimited:
    """Slots without end: what tests and replays of the core use."""

    def has_room(self, running: int) -> bool:
        return True

    def take(self, action: str) -> bool:
        return True


UNLIMITED: Slots = Unlimited()
