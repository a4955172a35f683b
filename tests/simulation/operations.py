"""What can clients do in a scenario, and what can befall the daemon?

Each operation is plain data with a moment, and says what happens then. A new one is a class here, with a line in
`scenario.DRAWN`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from simulation.plans import Step

if TYPE_CHECKING:
    from simulation.world import World


@dataclass(frozen=True)
class Open:
    """Make a thread, known as `thread` in what follows; asked for again until it is there."""

    at: float
    thread: str
    policy: str | None = None

    async def happen(self, world: "World") -> None:
        told: object = None
        while not isinstance(told, dict):
            told = await world.call("thread.create", policy=self.policy, request_id=f"open {self.thread}")
            await trio.sleep(0.05)
        world.threads.setdefault(self.thread, told["thread_id"])


@dataclass(frozen=True)
class Submit:
    """Ask for something, under the `name` as intent and request_id.

    `planner` empty: the client brings the plan. `again`: the same request once more so many seconds later; missing:
    never. `patience`: hang up after so many seconds. `policy`: instead of the thread's.
    """

    at: float
    name: str
    steps: tuple[Step, ...]
    planner: str = ""
    replacement: tuple[Step, ...] | None = None
    thread: str = ""
    policy: str | None = None
    unattended: bool = False
    again: float | None = None
    patience: float | None = None

    async def happen(self, world: "World") -> None:
        world.intents[self.name] = self
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, world)
            if self.again is not None:
                await trio.sleep(self.again)
                nursery.start_soon(self._ask, world)

    async def _ask(self, world: "World") -> None:
        given = {"intent": self.name} if self.planner else {"plan": {"goal": self.name, "steps": list(self.steps)}}
        with trio.CancelScope() as scope:
            if self.patience is not None:
                scope.deadline = trio.current_time() + self.patience
            how = {"policy": self.policy, "unattended": self.unattended, "labels": {"policy": self.policy or ""}}
            told = await world.call("interaction.submit", **given, **how, request_id=self.name, **self._where(world))
            if isinstance(told, dict):
                world.threads.setdefault(self.thread, told["thread_id"])

    def _where(self, world: "World") -> dict[str, str]:
        """The thread as it was known when the request was first made: a repetition says the same."""
        known = world.first_said.setdefault(self.name, world.threads.get(self.thread) if self.thread else None)
        return {} if known is None else {"thread_id": known}


@dataclass(frozen=True)
class Answer:
    """Answer one of the questions that wait, if any: `rightly`, `wrongly`, `crosswise` (by the other method),
    `denying`, `skipping`, or `twice` at once and to different effect."""

    at: float
    pick: int
    how: str

    async def happen(self, world: "World") -> None:
        waiting = list(world.testimony.questions)
        if not waiting:
            return
        key = waiting[self.pick % len(waiting)]
        if self.how != "twice":
            await world.answer(key, self.how)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.answer, key, "rightly", 1001)
            nursery.start_soon(world.answer, key, "denying", 1002)


@dataclass(frozen=True)
class Cancel:
    at: float
    pick: int

    async def happen(self, world: "World") -> None:
        if known := world.testimony.started:
            await world.call("interaction.cancel", interaction_id=known[self.pick % len(known)])


@dataclass(frozen=True)
class Steer:
    """`pause`, `resume` or `retry` an interaction."""

    at: float
    pick: int
    what: str

    async def happen(self, world: "World") -> None:
        if known := world.testimony.started:
            await world.call(f"interaction.{self.what}", interaction_id=known[self.pick % len(known)])


@dataclass(frozen=True)
class Aim:
    """`skip` a step, `retry` from it, or `fork` there: of the interaction, by its name in the plan."""

    at: float
    pick: int
    what: str
    step: str

    async def happen(self, world: "World") -> None:
        if known := world.testimony.started:
            named = {"skip": "step_id", "retry": "from_step", "fork": "at_step"}[self.what]
            about = {"interaction_id": known[self.pick % len(known)], named: self.step}
            await world.call(f"interaction.{self.what}", **about)


@dataclass(frozen=True)
class Emit:
    """Something happens outside, whether or not somebody waits for it."""

    at: float
    kind: str
    correlation: str | None = None

    async def happen(self, world: "World") -> None:
        await world.call("event.emit", kind=self.kind, correlation=self.correlation, payload={"at": self.at})


@dataclass(frozen=True)
class SetPolicy:
    at: float
    policy: str | None

    async def happen(self, world: "World") -> None:
        for thread_id in list(world.threads.values()):
            await world.call("thread.set_policy", thread_id=thread_id, policy=self.policy)


@dataclass(frozen=True)
class Archive:
    """Put the threads away, or bring them back. One in which something is unfinished stays."""

    at: float
    archived: bool

    async def happen(self, world: "World") -> None:
        for thread_id in list(world.threads.values()):
            await world.call("thread.archive", thread_id=thread_id, archived=self.archived)


@dataclass(frozen=True)
class Look:
    """Look at an interaction: what is shown must be what the journal says, as far as it says that it goes."""

    at: float
    pick: int

    async def happen(self, world: "World") -> None:
        if known := world.testimony.started:
            await world.call("interaction.get", interaction_id=known[self.pick % len(known)], outputs=True)


@dataclass(frozen=True)
class Wait:
    """Wait until an interaction is settled, however often it goes on meanwhile."""

    at: float
    pick: int
    seconds: float

    async def happen(self, world: "World") -> None:
        if known := world.testimony.started:
            about = known[self.pick % len(known)]
            await world.call("interaction.wait", interaction_id=about, timeout_ms=int(self.seconds * 1000))


@dataclass(frozen=True)
class Crash:
    """The power goes at the n-th instant from then on, 0 at once; it is back `rest` seconds later.

    `once_more`: and goes again, so many instants into the next life; 0: it does not.
    """

    at: float
    instants: int
    lands: bool
    once_more: int = 0
    rest: float = 0.5

    async def happen(self, world: "World") -> None:
        life = await world.serving()
        world.weather.last_write_lands = self.lands
        world.rest = self.rest
        world.next_countdown = self.once_more
        if self.instants:
            life.countdown = self.instants
        else:
            life.cut()


@dataclass(frozen=True)
class Stop:
    """The daemon is asked to stop, drains, and is started again."""

    at: float
    drain: float

    async def happen(self, world: "World") -> None:
        life = await world.serving()
        await life.engine.drain(self.drain)
        life.scope.cancel()


@dataclass(frozen=True)
class SlowDisk:
    at: float
    commit_seconds: float
    seconds: float

    async def happen(self, world: "World") -> None:
        world.weather.commit_seconds = self.commit_seconds
        await trio.sleep(self.seconds)
        world.weather.commit_seconds = 0.0


@dataclass(frozen=True)
class FullDisk:
    at: float
    seconds: float

    async def happen(self, world: "World") -> None:
        world.weather.full = True
        await trio.sleep(self.seconds)
        world.weather.full = False
