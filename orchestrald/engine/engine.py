"""The one place where the core meets IO: what the daemon does for its clients, and for its interactions.

Rules of this file:

- Append events, then perform effects (`actor` keeps that order for each interaction).
- Nothing is acknowledged before it is durable.
- A failing journal stops the engine, with nothing marked as done: a restart is clean by construction. Reads go on.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.effects import Log, ProposePlan, RunAction, SetTimer, StopAction
from orchestrald.core.events import Event
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import (
    Answered,
    CancelRequested,
    Recovered,
    Submitted,
    TimerFired,
)
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import ActionSpec
from orchestrald.core.states import FINAL_INTERACTION
from orchestrald.engine.actor import Actor, Remember
from orchestrald.engine.attempts import Attempts
from orchestrald.engine.clock import Clock
from orchestrald.engine.planning import Planning
from orchestrald.engine.recovery import Lost, farewell, hydrate, load
from orchestrald.engine.requests import Requests
from orchestrald.engine.slots import DaemonSlots
from orchestrald.engine.timers import Timers
from orchestrald.errors import (
    Conflict,
    Denied,
    Draining,
    InternalError,
    InvalidParams,
    NotFound,
    OrchestralError,
    StoreError,
    WrongState,
)
from orchestrald.interpreter.base import Interpreter
from orchestrald.planner.base import Planner
from orchestrald.protocol.foreign_text import plain
from orchestrald.runner.base import Observer, Runner, Violation
from orchestrald.store.base import Batch, Journal, Reader, ReferenceStore, RequestRow

log = logging.getLogger("orchestrald.engine")

T = TypeVar("T")


class Actions(Protocol):
    """The actions in force, one generation at a time."""

    @property
    def specs(self) -> Mapping[str, ActionSpec]: ...

    def get(self, name: str) -> LoadedAction | None: ...

    def groups(self, name: str) -> list[tuple[str, int]]:
        """The shared limits that the action counts against: (name, how many at once)."""
        ...


class Spectators(Protocol):
    """Where display-only news of running attempts goes."""

    def progress(
        self, interaction_id: str, step_id: str, done: float | None, total: float | None, message: str
    ) -> None: ...

    def log(self, interaction_id: str, step_id: str, level: str, message: str) -> None: ...


class Engine:
    """Interactions, alive. `failure` is the StoreError that stopped it; missing while all is well."""

    def __init__(
        self,
        *,
        journal: Journal,
        reader: Reader,
        references: ReferenceStore,
        runner: Runner,
        planner: Planner,
        interpreter: Interpreter,
        actions: Actions,
        spectators: Spectators,
        clock: Clock,
        max_parallel_steps: int = 16,
        max_parallel_steps_daemon: int = 64,
        max_replans: int = 1,
        inline_output_bytes: int = 64 * 1024,
    ) -> None:
        self.journal = journal
        self.reader = reader
        self.references = references
        self.planning = Planning(planner, actions, clock)
        self.interpreter = interpreter
        self.actions = actions
        self.spectators = spectators
        self.clock = clock
        self.live: dict[str, Actor] = {}
        self.requests = Requests(reader, clock)
        self.slots = DaemonSlots(max_parallel_steps_daemon, max_parallel_steps, actions.groups)
        self.timers = Timers(clock)
        self._max_replans = max_replans
        self.failure: StoreError | None = None
        self._attempts = Attempts(runner, references, clock, self, inline_output_bytes)
        self._nursery: trio.Nursery | None = None
        self._quiet = trio.Event()

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Recover, then serve until cancelled. Returns when the journal failed, with `failure` set."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self.timers.run)
                await self.recover()
                task_status.started()
                await trio.sleep_forever()
        except* StoreError:
            if self.failure is None:
                raise  # nothing runs yet: a daemon that could not recover must not look as if it had
            log.critical("the store failed, so nothing more is run: %s", self.failure)
        finally:
            self._nursery = None

    async def recover(self) -> None:
        """Fold every unfinished interaction and go on where the journal ends."""
        found, lost = await load(self.reader, self.references)
        for each in lost:
            log.error("%s cannot go on: %s", each.interaction_id, each.text)
            await self.journal.append(await farewell(self.reader, each, self.clock.now()))
        for state, last_seq in found:
            actor = self._adopt(state.id, state)
            actor.last_seq = last_seq
            actor.tell(Recovered(self.clock.now()))
        if found:
            log.info("recovered %d unfinished interactions", len(found))

    async def drain(self, seconds: float) -> None:
        """Start nothing any more, and give what runs some time. What still runs then becomes `interrupted`.

        What came to its end is durable when this returns: a step that nobody wrote down would be run again.
        """
        self.slots.close()
        with trio.move_on_after(seconds):
            while self.slots.running or any(actor.busy for actor in self.live.values()):
                self._quiet = trio.Event()
                await self._quiet.wait()

    def turn_ended(self) -> None:
        self._quiet.set()

    @property
    def draining(self) -> bool:
        return self.slots.closed

    def _adopt(self, interaction_id: str, state: Interaction) -> Actor:
        actor = Actor(
            state,
            journal=self.journal,
            slots=self.slots,
            interpreter=self.interpreter,
            clock=self.clock,
            performer=self,
        )
        self.live[interaction_id] = actor
        self._start(self._live, interaction_id, actor)
        return actor

    async def _live(self, interaction_id: str, actor: Actor) -> None:
        try:
            await actor.run()
        except Exception as error:  # promise 3: a bug of ours ends one interaction, in words, never the daemon
            if self.journal.failed:
                raise  # that is about all of us
            await self._bury(interaction_id, actor, error)
        finally:
            del self.live[interaction_id]

    async def _bury(self, interaction_id: str, actor: Actor, error: Exception) -> None:
        actor.broken = True
        log.error("a bug ended interaction %s", interaction_id, exc_info=error)
        for scope in actor.scopes.values():
            scope.cancel()
        if known := await self.reader.interaction(interaction_id):
            text = f"Failed: a bug in orchestrald, please report it with its log. {type(error).__name__}: {error}"
            lost = Lost(interaction_id, known.thread_id, "internal_error", plain(text))
            await self.journal.append(await farewell(self.reader, lost, self.clock.now()))

    def _start(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._nursery is None:
            raise self._ended()
        self._nursery.start_soon(self._until_it_fails, function, arguments)

    async def _until_it_fails(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            await function(*arguments)
        except StoreError as error:
            self.failure = self.failure or error  # now: whoever is woken by the end of all others asks for the reason
            raise

    def _ended(self) -> OrchestralError:
        """Why nothing can be asked any more. A new error each time: one that is raised twice grows its traceback."""
        if self.failure is not None:
            return StoreError(self.failure.message, hint=self.failure.advice)
        return Draining()

    # --- what clients ask for -----------------------------------------------------------------------------------

    async def submit(
        self,
        *,
        by: str,
        intent: str = "",
        graph: Graph | None = None,
        source: str = "intent",
        thread_id: str | None = None,
        workspace: str = "",
        labels: dict[str, str] | None = None,
        remember: Remember | None = None,
    ) -> Interaction:
        """Start an interaction. Returns when its submission is durable."""
        if self.failure is not None or self.draining:
            raise self._ended()
        if thread_id is not None and await self.reader.thread(thread_id) is None:
            raise NotFound(f"There is no thread {thread_id}.")
        happened = Submitted(
            at=self.clock.now(),
            interaction_id=self.clock.identifier("int_"),
            thread_id=thread_id or self.clock.identifier("thr_"),
            intent=intent,
            by=by,
            source=source,
            graph=graph,
            workspace=workspace,
            labels=labels or {},
            new_thread=thread_id is None,
            max_replans=self._max_replans if self.planning.planner.replans else 0,
        )
        actor = self._adopt(happened.interaction_id, Interaction())
        await self._ask(actor, happened, remember)
        return actor.state

    async def cancel(self, interaction_id: str, by: str, reason: str, remember: Remember | None = None) -> Interaction:
        actor = await self._actor(interaction_id)
        await self._ask(actor, CancelRequested(self.clock.now(), by, reason), remember)
        return actor.state

    async def answer(
        self,
        interaction_id: str,
        step_id: str | None,
        payload: Any,
        by: str,
        *,
        channel: str = "respond",
        remember: Callable[[Interaction, str], RequestRow] | None = None,
    ) -> tuple[Interaction, str]:
        """Answer a waiting step; without a `step_id` the only one that a person can answer. Returns which it was."""
        actor = await self._actor(interaction_id)
        named = step_id or _only_question(actor.state)
        happened = Answered(self.clock.now(), named, payload, by, channel)
        await self._ask(actor, happened, None if remember is None else lambda state: remember(state, named))
        return actor.state, named

    async def wait(self, interaction_id: str, seconds: float) -> bool:
        """Wait until the interaction is final or waits for somebody; False when the time was over first.

        Raises StoreError or Draining when neither can happen any more.
        """
        actor = self.live.get(interaction_id)
        if actor is None:
            await self._refuse_if_stopped(interaction_id)
            return True
        with trio.move_on_after(seconds):
            await actor.settled.wait()
            if actor.lost:
                raise InternalError() if actor.broken else self._ended()
            return True
        return False

    async def _refuse_if_stopped(self, interaction_id: str) -> None:
        if self.failure is not None:
            known = await self.reader.interaction(interaction_id)
            if known is not None and known.state not in FINAL_INTERACTION:
                raise self._ended()

    async def view(self, interaction_id: str, show: Callable[[Interaction, int], T]) -> T:
        """What `show` makes of the interaction, live or folded from the journal, and the newest `seq` that it includes.

        Nobody is shown what is not durable: `show` is called at a moment when all of the state is. Raises NotFound.
        """
        actor = self.live.get(interaction_id)
        if actor is not None and actor.last_seq:
            shown = await actor.view(show)
            if shown is not None:
                return shown
        events = await self._events_of(interaction_id)
        if not events:
            raise NotFound(f"There is no interaction {interaction_id}.")
        return show(await hydrate(events, self.references), events[-1].seq)

    async def _events_of(self, interaction_id: str) -> list[Event]:
        events: list[Event] = []
        while True:
            after = events[-1].seq if events else 0
            page = await self.reader.events(after_seq=after, interaction_id=interaction_id, limit=5000)
            events += page
            if len(page) < 5000:
                return events

    async def _actor(self, interaction_id: str) -> Actor:
        actor = self.live.get(interaction_id)
        if actor is not None:
            return actor
        known = await self.reader.interaction(interaction_id)
        if known is None:
            raise NotFound(f"There is no interaction {interaction_id}.")
        await self._refuse_if_stopped(interaction_id)
        raise WrongState(f"The interaction is already {known.state}.")

    async def _ask(self, actor: Actor, happened: Any, remember: Remember | None) -> None:
        reply = await actor.ask(happened, remember)
        if reply.lost:
            raise InternalError() if actor.broken else self._ended()
        if reply.refusal is not None:
            raise _REFUSALS.get(reply.refusal.code, WrongState)(reply.refusal.message)

    # --- what actors ask for ------------------------------------------------------------------------------------

    def run_action(self, actor: Actor, effect: RunAction, slots: list[str]) -> None:
        # The scope exists before the attempt begins, so that a cancellation which comes at once is not lost.
        scope = actor.scopes[effect.step_id] = trio.CancelScope()
        self._start(self._attempt, actor, effect, slots, scope)

    async def _attempt(self, actor: Actor, effect: RunAction, slots: list[str], scope: trio.CancelScope) -> None:
        try:
            happened = await self._attempts.run(actor, effect, self.actions.get(effect.action), scope)
        finally:
            actor.scopes.pop(effect.step_id, None)
            self.slots.give_back(slots)
        actor.tell(happened)

    def stop_action(self, actor: Actor, effect: StopAction) -> None:
        if scope := actor.scopes.get(effect.step_id):
            scope.cancel()

    def propose_plan(self, actor: Actor, effect: ProposePlan) -> None:
        self._start(self._plan, actor, effect)

    async def _plan(self, actor: Actor, effect: ProposePlan) -> None:
        actor.tell(await self.planning.propose(actor.state, effect))

    def set_timer(self, actor: Actor, effect: SetTimer) -> None:
        step_id, due_at = effect

        def fire() -> None:
            # The wall clock may have been set back since the timer looked at it, and nobody would come a second time.
            actor.tell(TimerFired(max(self.clock.now(), due_at), step_id))

        self.timers.set(due_at, fire)

    def log(self, actor: Actor, effect: Log) -> None:
        log.log(logging.getLevelName(effect.level.upper()), "%s: %s", actor.state.id, effect.message)

    def observer(self, actor: Actor, step_id: str) -> Observer:
        return _Observer(self, actor, step_id)

    def record_violation(self, actor: Actor, step_id: str, data: dict[str, Any]) -> None:
        state = actor.state
        event = Event("step.violation", data, state.thread_id, state.id, step_id, self.clock.now())
        self._start(self.journal.append, Batch([event]))


class _Observer:
    """An attempt's link to whoever watches."""

    __slots__ = ("_actor", "_engine", "_step_id")

    def __init__(self, engine: Engine, actor: Actor, step_id: str) -> None:
        self._engine = engine
        self._actor = actor
        self._step_id = step_id

    def progress(self, done: float | None, total: float | None, message: str) -> None:
        self._engine.spectators.progress(self._actor.state.id, self._step_id, done, total, message)

    def log(self, level: str, message: str) -> None:
        self._engine.spectators.log(self._actor.state.id, self._step_id, level, message)

    def violation(self, seen: Violation) -> None:
        # Plain: evidence may quote a file name of the plugin's choice, which need not be text that can be stored.
        about = {name: plain(value) for name, value in seen._asdict().items() if isinstance(value, str) and value}
        data = {**about, "certain": seen.certain}
        self._engine.record_violation(self._actor, self._step_id, data)


_REFUSALS: dict[str, type[OrchestralError]] = {
    "not_found": NotFound,
    "wrong_state": WrongState,
    "invalid_params": InvalidParams,
    "conflict": Conflict,
    "denied": Denied,
}


def _only_question(state: Interaction) -> str:
    asked = [n for n, run in state.waiting.items() if run.question and run.question.kind not in {"event", "until"}]
    if len(asked) == 1:
        return asked[0]
    if not asked:
        raise WrongState("Nothing in this interaction waits for an answer.")
    raise InvalidParams(f"More than one step waits for an answer: name one of {', '.join(asked)}.")
