"""What do the actions and planners of a simulated world do?

Both do as their parameters or the scenario say, without a memory of their own: an attempt that is repeated after a
crash does what it would have done before it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec, Failure, Question
from orchestrald.errors import NoPlaybook, PlannerUnavailable
from orchestrald.hookspecs import Action
from orchestrald.planner.base import Done, Proposal, Request
from orchestrald.runner.base import Asked, Attempt, Failed, Observer, Outcome, Succeeded, Violation
from simulation.models import look_and_plan
from simulation.plans import ACTIONS, LIMITS

if TYPE_CHECKING:
    from simulation.life import Life

INLINE_BYTES = 200
"""Outputs of more go to the reference store; `big` ones have more."""


async def _never(_params: dict[str, Any], _context: object) -> dict[str, Any]:
    raise AssertionError("the company calls no action")


class Actions:
    """`engine.Actions`: the same in every life."""

    def __init__(self) -> None:
        self.specs: Mapping[str, ActionSpec] = {spec.name: spec for spec in ACTIONS}
        self._loaded = {spec.name: LoadedAction(spec, Action(spec.name, _never)) for spec in ACTIONS}

    def get(self, name: str) -> LoadedAction | None:
        return self._loaded.get(name)

    def groups(self, name: str) -> list[tuple[str, int]]:
        return LIMITS.get(name, [])


class Company:
    """`runner.base.Runner`. What it begins and ends is testimony: the journal must agree with it."""

    def __init__(self, life: "Life") -> None:
        self._life = life

    async def run(self, action: LoadedAction, attempt: Attempt, observer: Observer) -> Outcome:
        await self._life.instant("begin")
        seen = self._life.world.testimony.begun(attempt, action.spec)
        try:
            outcome = await self._bounded(attempt, observer)
        finally:
            self._life.world.testimony.ended(seen, in_darkness=not self._life.on)
        await self._life.instant("end")
        return outcome

    async def _bounded(self, attempt: Attempt, observer: Observer) -> Outcome:
        if attempt.timeout is None:
            return await self._perform(attempt, observer)
        with trio.move_on_after(attempt.timeout):
            return await self._perform(attempt, observer)
        return Failed(Failure("timeout", f"it was stopped after {attempt.timeout:g} s", retryable=True))

    async def _perform(self, attempt: Attempt, observer: Observer) -> Outcome:
        does = attempt.params.get("does") or ["ok"]
        deed = does[min(attempt.attempt, len(does)) - 1]
        await self._take_time(deed)
        match deed:
            case "fail":
                return Failed(Failure("broken", "it broke"))
            case "flaky":
                return Failed(Failure("broken", "it broke", retryable=True))
            case "later":
                return Failed(Failure("busy", "not now", retryable=True, retry_after_ms=5_000))
            case "ask" if attempt.answers is None:
                schema = {"type": "integer"}
                return Asked(Question("clarification", "which?", schema=schema, state=f"at {attempt.attempt}"))
            case "raise":
                raise RuntimeError("a bug of the action's")
            case "unsayable":
                return Succeeded({"number": float("nan")})
            case "burglar":
                observer.violation(Violation("file", "it looked into /etc/shadow", path="/etc/shadow"))
            case "plead" if attempt.approval is None:
                return Asked(Question("approval", "may I?", preview={"what": "the rest"}))
            case "big":
                return Succeeded({"ok": True, "text": "x" * 2 * INLINE_BYTES})
        return Succeeded({"ok": True, "attempt": attempt.attempt})

    async def _take_time(self, deed: str) -> None:
        match deed:
            case "slow":
                await trio.sleep(3)
            case "flaky":
                await trio.sleep(0.2)
            case "hang":
                await trio.sleep_forever()
            case "stubborn":
                await self._stubborn()

    async def _stubborn(self) -> None:
        """It does not go when it is asked to, only when its time or the power is up."""
        with trio.CancelScope(shield=True) as scope:
            self._life.until_the_cut(scope)
            await trio.sleep(4)
        await trio.lowlevel.checkpoint()


class Planner:
    """`planner.base.Planner`: the scenario's word on each intent."""

    replans = True

    def __init__(self, life: "Life") -> None:
        self._life = life

    async def propose(self, request: Request) -> Proposal | Done:
        await self._life.instant("plan")
        told = self._life.world.intents[request.intent]
        if told.planner == "looking":
            return await look_and_plan(self._life, request, told)
        if told.planner == "slow":
            await trio.sleep(6)
        if request.failed_step:
            if told.replacement is None:
                raise NoPlaybook("Nothing replaces it.")
            return Proposal({"steps": list(told.replacement)}, "company")
        match told.planner:
            case "away":
                raise PlannerUnavailable("Nobody is in.")
            case "mad":
                raise RuntimeError("a bug of the planner's")
            case "wrong":
                return Proposal({"steps": [{"id": "a", "action": "no such action"}]}, "company")
        return Proposal({"goal": request.intent, "steps": list(told.steps)}, "company")
