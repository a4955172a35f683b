"""What was seen from outside: by the disk, by those who act, and by those who asked?

The journal says what happened; this says what can be held against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import trio

from orchestrald.core.events import Event
from orchestrald.core.model import ActionSpec
from orchestrald.runner.base import Attempt

EPOCH_US = 1_000_000_000_000_000
"""Where the simulated clock starts, in microseconds since 1970."""

Key = tuple[str, str]
"""Interaction and step."""


@dataclass
class Seen:
    """An attempt that really began. `seq` is how much of the journal was committed then; `until` is when it ended.

    `lost` means that the power went while it ran: nobody knows how far it came.
    """

    attempt: Attempt
    spec: ActionSpec
    at: float
    seq: int
    life: int
    until: float | None = None
    lost: bool = False
    beside: tuple[int, int, int] = (1, 1, 1)
    """How many ran just then, itself included: of its interaction, of its action, and altogether."""

    @property
    def key(self) -> Key:
        return self.attempt.interaction_id, self.attempt.step_id


class Told(NamedTuple):
    """What a client was told when `seq` was the newest event. `code` is the error's; empty when there was an answer."""

    seq: int
    by: str
    method: str
    params: dict[str, Any]
    answer: dict[str, Any]
    code: str


class Final(NamedTuple):
    """An interaction that was committed as ended, and which of its steps still ran at that moment."""

    interaction_id: str
    running: tuple[str, ...]


@dataclass
class Testimony:
    attempts: list[Seen] = field(default_factory=list)
    running: list[Seen] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    finals: list[Final] = field(default_factory=list)
    deaths: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    published: list[int] = field(default_factory=list)
    committed_at: list[float] = field(default_factory=list)
    seq: int = 0
    life: int = 0
    started: list[str] = field(default_factory=list)
    questions: dict[Key, dict[str, Any]] = field(default_factory=dict)
    """What waits, by the journal; in the order in which it was asked."""

    def begun(self, attempt: Attempt, spec: ActionSpec) -> Seen:
        seen = Seen(attempt, spec, trio.current_time(), self.seq, self.life)
        self.attempts.append(seen)
        self.running.append(seen)
        siblings = sum(other.key[0] == attempt.interaction_id for other in self.running)
        likes = sum(other.spec.name == spec.name for other in self.running)
        seen.beside = (siblings, likes, len(self.running))
        return seen

    def ended(self, seen: Seen, *, in_darkness: bool) -> None:
        seen.until = trio.current_time()
        seen.lost = in_darkness
        self.running.remove(seen)

    def died(self) -> None:
        self.deaths.append(self.seq)

    def committed(self, events: Sequence[Event]) -> None:
        now = trio.current_time()
        for event in events:
            self.seq = event.seq
            self.published.append(event.seq)
            self.committed_at.append(now)
            key = (event.interaction_id, event.step_id)
            if event.type == "step.waiting":
                self.questions[key] = event.data["question"]
            elif event.step_id and event.type != "step.violation":
                self.questions.pop(key, None)
            elif event.type == "interaction.submitted":
                self.started.append(event.interaction_id)
            elif event.type in {"interaction.completed", "interaction.failed", "interaction.cancelled"}:
                still = [seen.attempt.step_id for seen in self.running if seen.key[0] == event.interaction_id]
                self.finals.append(Final(event.interaction_id, tuple(still)))
                for step in [step for step in self.questions if step[0] == event.interaction_id]:
                    del self.questions[step]
