"""What is measured where no socket is in the way? The daemon's own engine, store and runner, in this process.

Put together as `orchestrald.service` does it, with its defaults: WAL, synchronous FULL, one writer.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from benchmarks.plans import NOOP
from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec
from orchestrald.engine.clock import SystemClock
from orchestrald.engine.engine import Engine
from orchestrald.hookspecs import Action, ActionContext
from orchestrald.interpreter.rules import RulesInterpreter
from orchestrald.planner.playbooks import Playbooks
from orchestrald.runner.pool import LocalRunner
from orchestrald.store.references import References
from orchestrald.store.sqlite import Store, open_store


class Actions:
    """What `PluginHost` is to the engine, for a fixed list of actions."""

    def __init__(self, loaded: Iterable[LoadedAction]) -> None:
        self._loaded = {action.spec.name: action for action in loaded}
        self._specs = {name: action.spec for name, action in self._loaded.items()}

    @property
    def specs(self) -> Mapping[str, ActionSpec]:
        return self._specs

    def get(self, name: str) -> LoadedAction | None:
        return self._loaded.get(name)

    def groups(self, name: str) -> list[tuple[str, int]]:
        return []


class Nobody:
    """Nobody watches progress and logs."""

    def progress(self, *_: Any) -> None:
        pass

    def log(self, *_: Any) -> None:
        pass


class Product:
    def __init__(self, engine: Engine, store: Store, runner: LocalRunner) -> None:
        self.engine = engine
        self.store = store
        self.runner = runner

    async def run(self, plan: dict[str, Any]) -> None:
        """From the plan as it was sent to its durable end. Checks that it ended well."""
        state = await self.start(plan)
        await self.engine.wait(state, 600)
        row = await self.store.reader.interaction(state)
        assert row is not None, "a submitted interaction is listed"
        assert row.state == "completed", row.answer

    async def start(self, plan: dict[str, Any]) -> str:
        """The interaction's id, once its submission is durable."""
        graph = await self.engine.planning.accept(plan)
        return (await self.engine.submit(by="bench", graph=graph, source="plan")).state.id


async def _noop(_params: dict[str, Any], _context: ActionContext) -> dict[str, Any]:
    return {"ok": True}


async def _hold(_params: dict[str, Any], _context: ActionContext) -> dict[str, Any]:
    await trio.sleep_forever()
    raise AssertionError("for ever has no end")


def noop(*, held: bool = False) -> LoadedAction:
    """The no-op action; `held` never ends, which is how a step is caught unfinished."""
    action = Action(name=NOOP, run=_hold if held else _noop, effects="read", open_world=False, idempotent=True)
    return LoadedAction(ActionSpec(name=NOOP, effects="read", open_world=False, idempotent=True), action)


@asynccontextmanager
async def product(folder: Path, actions: Iterable[LoadedAction] | None = None) -> AsyncIterator[Product]:
    """Open it in `folder`; what an earlier one left there unfinished goes on. `actions` missing: the no-op."""
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    async with open_store(state / "orchestrald.db") as store:
        references = References(state / "references")
        runner = LocalRunner(state, store_artifact=references.put)
        engine = Engine(
            journal=store.journal,
            reader=store.reader,
            references=references,
            runner=runner,
            planner=Playbooks([]),
            interpreter=RulesInterpreter(),
            actions=Actions([noop()] if actions is None else actions),
            spectators=Nobody(),
            clock=SystemClock(),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            yield Product(engine, store, runner)
            nursery.cancel_scope.cancel()
