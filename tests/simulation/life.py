"""What is one life of the daemon: from its start to the moment that it stops, fails, or the power goes?

Rules of this file:

- The power goes at an instant: just before something that the outside could see. From then on nothing of this life
  reaches the outside, however its code unwinds.
- The next life begins when nothing of this one is left.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from orchestrald.core.approval import Rules
from orchestrald.core.concurrency import BUILT_IN
from orchestrald.engine.engine import Engine
from orchestrald.engine.submissions import Policies
from orchestrald.errors import StoreError
from orchestrald.protocol.messages import METHODS
from orchestrald.server.methods.approvals import Approvals
from orchestrald.server.methods.events import Events
from orchestrald.server.methods.interactions import Interactions
from orchestrald.server.methods.threads import Threads
from simulation.disk import Disk, References
from simulation.models import BUDGETS, Narrator
from simulation.performance import INLINE_BYTES, Company, Planner

MAX_QUEUED = 2
MAX_IN_THREAD = 3
GATE = Rules(unattended="deny", expires_us=200_000_000)
"""Small numbers, so that they are reached."""

if TYPE_CHECKING:
    from simulation.world import World


_NOBODY: Any = None
_FAMILIES = (Interactions, Approvals, Events, Threads)
_METHODS = {
    name: (i, name.replace(".", "_"))
    for name in METHODS
    for i, family in enumerate(_FAMILIES)
    if hasattr(family, name.replace(".", "_"))
}
"""What clients call in a scenario: the family of methods, and the method. To make the whole table costs too much."""


class _Silent:
    """`engine.Spectators`: display only."""

    def progress(self, *_: Any) -> None: ...

    def log(self, *_: Any) -> None: ...

    def answer(self, *_: Any) -> None: ...


class Life:
    """`up` is set once it serves, `over` when nothing of it is left, `buried` when the next one has begun.

    `on` is False from the cut on.
    """

    def __init__(self, world: "World") -> None:
        self.world = world
        self.on = True
        self.up = trio.Event()
        self.over = trio.Event()
        self.buried = trio.Event()
        self.scope = trio.CancelScope()
        self.countdown = 0
        self._shielded: list[tuple[trio.CancelScope, Callable[[trio.CancelScope], bool]]] = []
        self.journal = Disk(self)
        self.engine = Engine(
            journal=self.journal,
            reader=world.kept.reader,
            references=References(self, world.references),
            runner=Company(self),
            planner=Planner(self),
            interpreter=Narrator(self),
            budgets=lambda: BUDGETS,
            actions=world.actions,
            spectators=_Silent(),
            clock=world.clock,
            max_parallel_steps=world.scenario.slots[0],
            max_parallel_steps_daemon=world.scenario.slots[1],
            inline_output_bytes=INLINE_BYTES,
            policies=Policies(lambda: BUILT_IN, world.scenario.policy, MAX_QUEUED),
            max_interactions_per_thread=MAX_IN_THREAD,
            gate=lambda: GATE,
        )
        e = self.engine
        families = (Interactions(e), Approvals(e), Events(e, _NOBODY), Threads(e))
        self.methods = {name: getattr(families[family], attribute) for name, (family, attribute) in _METHODS.items()}

    def started(self, _value: None = None) -> None:
        """What trio's TaskStatus has: the engine says that it has recovered."""
        self.up.set()

    async def run(self) -> None:
        """Returns when it is over, whatever ended it. A StoreError is an end like another: the next life may do better.

        Any other exception is the daemon's bug, and goes through."""
        try:
            with self.scope:
                await self.engine.run(task_status=self)  # type: ignore[arg-type]
        except* StoreError:
            pass
        finally:
            self.up.set()  # whoever waited for it is not left waiting
            self.over.set()

    async def instant(self, _name: str) -> None:
        """Here the power may go. Whoever calls this is about to do something that the outside could see."""
        if self.countdown:
            self.countdown -= 1
            if not self.countdown:
                self.cut()
        if not self.on and trio.current_effective_deadline() > 0:  # behind a shield, where no cancellation comes
            raise StoreError("The power is gone.")
        if not self.on:
            await self.over.wait()  # the daemon's own code is cancelled here
            raise StoreError("The power is gone.")

    def cut(self) -> None:
        """The power goes."""
        if not self.on:
            return
        self.on = False
        self.scope.cancel()
        self.world.testimony.died()
        for scope, survives in self._shielded:
            if not survives(scope):
                scope.cancel()

    def until_the_cut(
        self, scope: trio.CancelScope, survives: Callable[[trio.CancelScope], bool] = lambda _scope: False
    ) -> None:
        """A shield against everything but the cut; and that too, if it is asked and says so."""
        self._shielded.append((scope, survives))
