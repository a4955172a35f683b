"""The engine on fakes: a memory store, scripted actions and counted names, all on trio's clock."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.events import Event
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import ActionSpec, Failure, Retry
from orchestrald.engine.clock import Clock, TrioClock
from orchestrald.engine.engine import Engine
from orchestrald.errors import NoPlaybook
from orchestrald.hookspecs import Action, Notifier
from orchestrald.interpreter.base import Interpreter
from orchestrald.interpreter.rules import RulesInterpreter
from orchestrald.planner.base import Planner, Proposal, Request
from orchestrald.runner.base import Attempt, Failed, Observer, Outcome, Succeeded
from orchestrald.runner.fake import Scripted, ScriptedRunner
from orchestrald.store.base import Batch
from orchestrald.store.memory import MemoryJournal, MemoryReferences, MemoryStore

PATIENCE_S = 100_000
"""Of the autojump clock: a day passes in no time, so nothing but a stall takes so long."""


async def _never(_params: dict[str, Any], _context: object) -> dict[str, Any]:
    raise AssertionError("the scripted runner calls no action")


class Actions:
    """`engine.Actions`: every action may be asked for, `groups` are the limits that they share."""

    def __init__(self, *specs: ActionSpec) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.limits: dict[str, list[tuple[str, int]]] = {}

    def get(self, name: str) -> LoadedAction | None:
        spec = self.specs.get(name)
        return None if spec is None else LoadedAction(spec, Action(name, _never))

    def groups(self, name: str) -> list[tuple[str, int]]:
        return self.limits.get(name, [])


class NoPlanner:
    replans = False

    async def propose(self, request: Request) -> Proposal:
        raise NoPlaybook(f"Nothing fits {request.intent!r}.")


@dataclass
class Spectators:
    """`engine.Spectators` that write everything down."""

    reports: list[tuple[str, str, float | None, float | None, str]] = field(default_factory=list)
    lines: list[tuple[str, str, str, str]] = field(default_factory=list)
    pieces: list[tuple[str, str]] = field(default_factory=list)

    def progress(
        self, interaction_id: str, step_id: str, done: float | None, total: float | None, message: str
    ) -> None:
        self.reports.append((interaction_id, step_id, done, total, message))

    def log(self, interaction_id: str, step_id: str, level: str, message: str) -> None:
        self.lines.append((interaction_id, step_id, level, message))

    def answer(self, interaction_id: str, piece: str) -> None:
        self.pieces.append((interaction_id, piece))


class SlowJournal(MemoryJournal):
    """A journal whose commits wait between `hold` and `go_on`, as on a busy disk."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()
        self.gate.set()

    def hold(self) -> None:
        self.gate = trio.Event()

    def go_on(self) -> None:
        self.gate.set()

    async def append(self, batch: Batch) -> Sequence[Event]:
        await self.gate.wait()
        return await super().append(batch)


WORK = ActionSpec("work", idempotent=True, effects="read", retry=Retry(max=3, backoff=1.0, max_backoff=60.0))
ONCE = ActionSpec("once", retry=Retry(max=0))
OTHER = ActionSpec("other", idempotent=True, retry=Retry(max=0))
GUARDED = ActionSpec("guarded", approval="always", retry=Retry(max=0))


class Rig:
    """What outlives a crash (the journal and the references) and what it takes to start an engine on them."""

    def __init__(self, script: dict[str, Sequence[Scripted]] | None = None) -> None:
        self.store = MemoryStore()
        self.references = MemoryReferences()
        self.script: dict[str, Sequence[Scripted]] = script or {
            name: [Succeeded({"ok": True})] for name in ("work", "once", "other", "guarded")
        }
        self.actions = Actions(WORK, ONCE, OTHER, GUARDED)
        self.planner: Planner = NoPlanner()
        self.interpreter: Interpreter = RulesInterpreter()
        self.spectators = Spectators()
        self.notifiers: list[Notifier] = []
        self.clock: Clock | None = None
        self.limits: dict[str, Any] = {}
        self.runner = ScriptedRunner(self.script)
        self.engine: Engine

    def use(self, journal: MemoryJournal) -> None:
        """Another journal; nothing was written yet."""
        self.store.journal = journal
        self.store.reader = type(self.store.reader)(journal)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Engine]:
        """An engine on what the journal holds. Leaving is as a crash: nothing more is written."""
        self.clock = self.clock or TrioClock()
        self.runner = ScriptedRunner(self.script)
        self.engine = Engine(
            journal=self.store.journal,
            reader=self.store.reader,
            references=self.references,
            runner=self.runner,
            planner=self.planner,
            interpreter=self.interpreter,
            actions=self.actions,
            spectators=self.spectators,
            clock=self.clock,
            notifiers=lambda: self.notifiers,
            **self.limits,
        )
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(self.engine.run)
                yield self.engine
                nursery.cancel_scope.cancel()

    # What tests ask.

    async def submit(self, *steps: dict[str, Any], **plan: Any) -> Interaction:
        graph = await self.engine.planning.accept({"goal": "test", "steps": list(steps), **plan})
        return (await self.engine.submit(by="uid:0", intent="test", graph=graph, source="plan")).state

    async def end_of(self, interaction_id: str) -> Interaction:
        """The interaction once it is final or waits for somebody."""
        assert await self.engine.wait(interaction_id, PATIENCE_S)
        return (await self.look(interaction_id))[0]

    async def look(self, interaction_id: str) -> tuple[Interaction, int]:
        """The interaction and the newest `seq` in it."""
        return await self.engine.view(interaction_id, lambda state, last_seq: (state, last_seq))

    async def run(self, *steps: dict[str, Any], **plan: Any) -> Interaction:
        return await self.end_of((await self.submit(*steps, **plan)).id)

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.store.journal.stored]

    def types(self, *prefixes: str) -> list[str]:
        lines = [event.type + (f" {event.step_id}" if event.step_id else "") for event in self.events]
        return [line for line in lines if not prefixes or line.startswith(prefixes)]

    @property
    def attempts(self) -> list[tuple[str, int]]:
        """Step and number of every attempt that this engine has begun, in order."""
        return [(attempt.step_id, attempt.attempt) for attempt in self.runner.started]


def step(id_: str, action: str = "work", **rest: Any) -> dict[str, Any]:
    return {"id": id_, "action": action, **rest}


def busy(seconds: float, **output: Any) -> Callable[[Attempt, Observer], Awaitable[Outcome]]:
    """An action that takes so long."""

    async def work(_attempt: Attempt, _observer: Observer) -> Outcome:
        await trio.sleep(seconds)
        return Succeeded(output)

    return work


class Gate:
    """An action that says when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.open = trio.Event()

    async def __call__(self, _attempt: Attempt, _observer: Observer) -> Outcome:
        self.begun.set()
        await self.open.wait()
        return Succeeded({"ok": True})


def broken(message: str = "it broke", *, retryable: bool = False, retry_after_ms: int | None = None) -> Failed:
    return Failed(Failure("broken", message, retryable, retry_after_ms))
