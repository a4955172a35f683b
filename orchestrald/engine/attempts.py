"""How does an asked-for attempt become an input again?

Runs one attempt through the runner and reports its outcome to the actor. A large output goes to the reference store
first, so that the event which names it is never written before its content is durable.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import trio
from pydantic_core import from_json

from orchestrald.actions import LoadedAction
from orchestrald.core import schema
from orchestrald.core.artifacts import whole, within
from orchestrald.core.effects import RunAction
from orchestrald.core.graph import freeze
from orchestrald.core.inputs import ActionAsked, ActionFailed, ActionStopped, ActionSucceeded, Input
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Failure
from orchestrald.engine.actor import Actor
from orchestrald.engine.clock import Clock
from orchestrald.protocol.foreign_text import plain
from orchestrald.protocol.strict_json import NotStrictJson, dumps
from orchestrald.runner.base import Asked, Attempt, Failed, Observer, Outcome, Runner, Succeeded
from orchestrald.store.base import ReferenceStore

log = logging.getLogger("orchestrald.engine")


class Watcher(Protocol):
    """Who hears of attempts while they run; display only, except for violations, which become events."""

    def observer(self, actor: Actor, step_id: str) -> Observer: ...


def _changed(state: Interaction, action: LoadedAction) -> bool:
    """Whether the action is another than the plan has frozen."""
    return state.graph is None or state.graph.specs.get(action.spec.name) != freeze(action.spec)


class Attempts:
    """Runs attempts. `inline_bytes`: an output whose JSON is longer goes to the reference store; `until` says for how
    long."""

    def __init__(
        self,
        runner: Runner,
        references: ReferenceStore,
        clock: Clock,
        watcher: Watcher,
        inline_bytes: int,
        until: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._runner = runner
        self._references = references
        self._clock = clock
        self._watcher = watcher
        self._inline_bytes = inline_bytes
        self._until = until

    async def run(self, actor: Actor, effect: RunAction, action: LoadedAction | None, scope: trio.CancelScope) -> Input:
        """The input that the attempt leads to; `scope` is how it is stopped.

        Leaves by `trio.Cancelled` only when the whole daemon stops.
        """
        if action is None:
            failure = Failure("unknown_action", f"there is no action {effect.action} any more")
            return ActionFailed(self._clock.now(), effect.step_id, failure)
        if actor.state.approved and _changed(actor.state, action):
            message = f"{effect.action} is not what it was when the plan was agreed to: its plugin has changed"
            return ActionFailed(self._clock.now(), effect.step_id, Failure("plan_changed", message))
        with scope:
            began = trio.current_time()
            outcome = await self._outcome(actor, effect, action)
            return await self._report(effect.step_id, outcome, int((trio.current_time() - began) * 1000))
        return ActionStopped(self._clock.now(), effect.step_id)

    async def _outcome(self, actor: Actor, effect: RunAction, action: LoadedAction) -> Outcome:
        observer = self._watcher.observer(actor, effect.step_id)
        try:
            return await self._runner.run(action, self._attempt(actor, effect), observer)
        except Exception as error:  # promise 3: a bug of ours or a plugin's ends one step, with words, never the daemon
            log.exception("the runner failed at %s/%s", actor.state.id, effect.step_id)
            return Failed(Failure("internal_error", f"{type(error).__name__}: {error}"))

    def _attempt(self, actor: Actor, effect: RunAction) -> Attempt:
        state = actor.state
        return Attempt(
            interaction_id=state.id,
            step_id=effect.step_id,
            execution_id=self._clock.identifier("exec_"),
            attempt=effect.attempt,
            idempotency_key=f"{state.id}/{effect.step_id}/{effect.revision}",
            params=effect.params,
            workspace=state.workspace,
            timeout=effect.timeout,
            answers=effect.answer,
            approval=effect.approval,
            state=effect.state,
            sandbox=effect.sandbox,
        )

    async def _report(self, step_id: str, outcome: Outcome, ms: int) -> Input:
        now = self._clock.now()
        if problem := _unusable(outcome):
            outcome = Failed(Failure("internal_plugin_error", f"what the action said cannot be used: {problem}"))
        match outcome:
            case Succeeded(output):
                return await self._succeeded(step_id, output, ms)
            case Failed(failure):
                return ActionFailed(now, step_id, failure, self._clock.chance())
            case Asked(question):
                return ActionAsked(now, step_id, question)

    async def _succeeded(self, step_id: str, output: dict[str, Any], ms: int) -> Input:
        try:
            encoded = dumps(output)
        except NotStrictJson as error:
            failure = Failure("invalid_output", str(error))
            return ActionFailed(self._clock.now(), step_id, failure)
        until = self._until()
        artifacts = within(output, until) if b'"$artifact"' in encoded else []
        if len(encoded) <= self._inline_bytes:
            return ActionSucceeded(self._clock.now(), step_id, output, ms, artifacts=tuple(artifacts))
        digest, size = await self._references.put(encoded), len(encoded)
        artifacts.append(whole(step_id, digest, size, until))
        return ActionSucceeded(self._clock.now(), step_id, output, ms, digest, size, tuple(artifacts))


def _unusable(outcome: Outcome) -> str:
    """Why a failure or a question could not be stored or answered; empty when it can. An in-process action's are its
    own words, unchecked so far, and a batch that the journal refuses stops the daemon."""
    if isinstance(outcome, Succeeded):
        return ""
    try:
        from_json(dumps(outcome.failure.to_json() if isinstance(outcome, Failed) else outcome.question.to_json()))
    except ValueError as error:
        return plain(str(error))
    asked = outcome.question.schema if isinstance(outcome, Asked) else None
    return "" if asked is None else "; ".join(schema.check(asked)[:1])
