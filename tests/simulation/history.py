"""What is there to judge when a scenario has come to its end?"""

from dataclasses import dataclass, field
from functools import cached_property

from orchestrald.core.events import Event
from orchestrald.core.evolve import fold
from orchestrald.core.interaction import Interaction
from orchestrald.store.base import InteractionRow
from simulation.testimony import Key, Testimony

FINAL = frozenset({"interaction.completed", "interaction.failed", "interaction.cancelled"})
"""What ends an interaction, until a person has it tried again."""


@dataclass
class History:
    """The journal as it would be read, and what was seen from outside. `loaded` are the stored outputs, by digest."""

    events: list[Event]
    testimony: Testimony = field(default_factory=Testimony)
    rows: dict[str, InteractionRow] = field(default_factory=dict)
    loaded: dict[str, object] = field(default_factory=dict)
    slots: tuple[int, int] = (4, 8)
    policy: str = "interrupt_and_start_new"
    waits: dict[str, list[str]] = field(default_factory=dict)
    """By the table of waits: which steps of each interaction wait."""

    _folded: dict[str, Interaction] = field(default_factory=dict)

    @cached_property
    def interactions(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.events:
            if event.interaction_id:
                found.setdefault(event.interaction_id, []).append(event)
        return found

    @cached_property
    def steps(self) -> dict[Key, list[Event]]:
        """What happened to each step; an item is reset with the step that it is of."""
        found: dict[Key, list[Event]] = {}
        for event in self.events:
            it, step_id = event.interaction_id, event.step_id
            if step_id:
                found.setdefault((it, step_id), []).append(event)
            if event.type == "step.reset":
                for key in [key for key in found if key[0] == it and key[1].startswith(f"{step_id}[")]:
                    found[key].append(event)
        return found

    def committed_at(self, event: Event) -> float:
        """In seconds of simulated time; 0 for a history without testimony."""
        at = self.testimony.committed_at
        return at[event.seq - 1] if event.seq <= len(at) else 0.0

    def of(self, key: Key) -> list[Event]:
        return self.steps.get(key, [])

    def state(self, interaction_id: str, last_seq: int | None = None) -> Interaction:
        """The interaction as its events say, up to `last_seq`, or all of them. Raises IllegalMove."""
        if last_seq is None and interaction_id in self._folded:
            return self._folded[interaction_id]
        events = self.interactions[interaction_id]
        state = fold([e for e in events if last_seq is None or e.seq <= last_seq], self.loaded)
        if last_seq is None:
            self._folded[interaction_id] = state
        return state

    def forget(self) -> None:
        """Look again: the events are others than before."""
        self._folded.clear()
        self.__dict__.pop("interactions", None)
        self.__dict__.pop("steps", None)
