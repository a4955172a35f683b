"""The one place where the core meets IO: the interactions that are in memory, how they live, and what they ask for.

Rules of this file:

- Append events, then perform effects (`actor` keeps that order for each interaction).
- Nothing is acknowledged before it is durable.
- A failing journal stops the engine, with nothing marked as done: a restart is clean by construction. Reads go on.
- What only waits is not in memory: `wake` brings it back from the journal when something comes for it.

What clients ask for is next door: `submissions` (what becomes of an input), `steering` (what is done to an
interaction), `mailbox` (external events).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.approval import NO_RULES, Gate
from orchestrald.core.concurrency import Standing
from orchestrald.core.effects import Log, ProposePlan, RunAction, SetTimer, StopAction
from orchestrald.core.events import Event
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import ActionFailed, ActionSucceeded, Admitted, Input, Recovered, TimerFired
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import ActionSpec
from orchestrald.core.states import FINAL_INTERACTION, InteractionState
from orchestrald.engine.actor import Actor, Remember
from orchestrald.engine.artifacts import Artifacts
from orchestrald.engine.attempts import Attempts
from orchestrald.engine.clock import Clock
from orchestrald.engine.mailbox import Mailbox
from orchestrald.engine.memory import WorkingSet
from orchestrald.engine.planning import Planning
from orchestrald.engine.recovery import Lost, farewell, hydrate, load
from orchestrald.engine.requests import Requests
from orchestrald.engine.slots import DaemonSlots
from orchestrald.engine.steering import Steering
from orchestrald.engine.submissions import ORDINARY, Asked, Policies, Submission, Submissions
from orchestrald.engine.submissions import Remember as RememberSubmission
from orchestrald.engine.threads import Threads, standing_of
from orchestrald.engine.timers import Timers
from orchestrald.engine.waits import Waits
from orchestrald.engine.watched_journal import WatchedJournal
from orchestrald.errors import (
    Conflict,
    DamagedReference,
    Denied,
    Draining,
    InternalError,
    InvalidParams,
    NotFound,
    OrchestralError,
    PlanError,
    StoreError,
    WrongState,
)
from orchestrald.interpreter.base import Interpreter
from orchestrald.planner.base import Planner
from orchestrald.protocol.foreign_text import plain
from orchestrald.runner.base import Observer, Runner, Violation
from orchestrald.store.base import Appender, Batch, InteractionRow, Reader, ReferenceStore, WaitRow

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
        journal: Appender,
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
        policies: Policies = ORDINARY,
        max_interactions_per_thread: int = 10,
        retain_unmatched: float = 7 * 86400.0,
        gate: Callable[[], Gate] = lambda: NO_RULES,
        max_history: int = 20,
        retention: float | None = None,
    ) -> None:
        self.journal = journal = WatchedJournal(journal, self._fail)
        self.reader = reader
        self.references = references
        self.working_set = WorkingSet(journal, reader, clock)
        self.planning = Planning(planner, actions, clock, self.working_set, reader, max_history, max_replans)
        self.gate = gate
        self.interpreter = interpreter
        self.actions = actions
        self.spectators = spectators
        self.clock = clock
        self.live: dict[str, Actor] = {}
        self.requests = Requests(reader, clock)
        self.slots = DaemonSlots(max_parallel_steps_daemon, max_parallel_steps, actions.groups)
        self.timers = Timers(clock)
        self.threads = Threads(max_interactions_per_thread)
        self.waits = Waits()
        self.max_replans = max_replans if planner.replans else 0
        self.failure: StoreError | None = None
        self.artifacts = Artifacts(self, journal, reader, references, clock, self.timers, retention)
        self._attempts = Attempts(runner, references, clock, self, inline_output_bytes, self.artifacts.until)
        self._nursery: trio.Nursery | None = None
        self._recovering = True
        self._ending = False
        self._quiet = trio.Event()
        self._waking: dict[str, trio.Event] = {}
        self._stirring: dict[str, trio.Event] = {}
        self.submissions = Submissions(
            self, journal, reader, clock, self.threads, self.waits, policies, working_set=self.working_set
        )
        self.steering = Steering(self, reader, clock, self.threads, self.planning, self.submissions)
        self.mailbox = Mailbox(self, journal, reader, clock, self.waits, int(retain_unmatched * 1_000_000))
        self.cancel, self.answer = self.steering.cancel, self.steering.answer
        self.pause, self.resume, self.skip = self.steering.pause, self.steering.resume, self.steering.skip
        self.retry, self.fork = self.steering.retry, self.steering.fork
        self.emit = self.mailbox.emit

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Recover, then serve until cancelled. Returns when the journal failed, with `failure` set."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self.timers.run)
                await self.recover()
                self._recovering = False
                self.spawn(self.artifacts.begin)
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    self._ending = True
        except* StoreError:
            if self.failure is None:
                raise  # nothing runs yet: a daemon that could not recover must not look as if it had
        finally:
            self._nursery, self._ending = None, True
            for interaction_id in list(self._stirring):
                self._stir(interaction_id)
        if self.failure is not None:
            log.critical("the store failed, so nothing more is run: %s", self.failure)

    def _fail(self, error: StoreError) -> None:
        """Now, and not when all has come to its end: whoever is woken by that asks for the reason."""
        self.failure = self.failure or error
        if self._nursery is not None and not self._recovering:
            self._nursery.cancel_scope.cancel()

    async def recover(self) -> None:
        """Fold every unfinished interaction that does not rest, and go on where the journal ends.

        Of those that rest only the indexes are read.
        """
        found, lost = await load(self.reader, self.references)
        resting = await self.reader.resting()
        waits: dict[str, list[WaitRow]] = {}
        for wait in await self.reader.waits():
            waits.setdefault(wait.interaction_id, []).append(wait)
        for row in resting:
            standing = standing_of(InteractionState(row.state))
            self.threads.put(row.thread_id, Standing(row.interaction_id, standing, row.created_at))
            for wait in self.waits.put(row.interaction_id, waits.get(row.interaction_id, ())):
                if wait.due_at is not None:
                    self._wake_at(wait.due_at, wait.interaction_id, wait.step_id)
        for each in lost:
            log.error("%s cannot go on: %s", each.interaction_id, each.text)
            await self.journal.append(await farewell(self.reader, each, self.clock.now()))
        for state, _ in found:
            self.threads.put(state.thread_id, _standing(state))
            self.waits.put(state.id, waits.get(state.id, ()))
        for state, last_seq in found:
            actor = self.adopt(state.id, state)
            actor.last_seq = last_seq
            actor.tell(Recovered(self.clock.now()))
            if state.state is InteractionState.QUEUED:
                self.submissions.interrupt_again(state)
        for thread_id in self.threads.names():
            self.submissions.advance(thread_id)
        await self.mailbox.load()
        self.mailbox.offer_all()
        if found or resting:
            log.info("recovered %d unfinished interactions; %d more wait", len(found), len(resting))

    async def drain(self, seconds: float) -> None:
        """Start nothing any more, and give what runs some time. What still runs then becomes `interrupted`.

        What came to its end is durable when this returns: a step that nobody wrote down would be run again.
        """
        self.slots.close()
        with trio.move_on_after(seconds):
            while self.slots.running or any(actor.busy for actor in self.live.values()):
                self._quiet = trio.Event()
                await self._quiet.wait()

    def turn_ended(self, actor: Actor, waits: Sequence[WaitRow] | None) -> None:
        """All that the actor decided is durable: the indexes follow, and whoever may have room now is told."""
        self._quiet.set()
        state = actor.state
        if not state.id:
            return
        if state.final:
            self._over(state.thread_id, state.id)
            return
        if waits is not None:
            self.mailbox.waits_began(self.waits.put(state.id, waits))
        if self.threads.put(state.thread_id, _standing(state)):
            self.submissions.advance(state.thread_id)

    @property
    def draining(self) -> bool:
        return self.slots.closed

    def adopt(self, interaction_id: str, state: Interaction) -> Actor:
        actor = Actor(
            state,
            journal=self.journal,
            slots=self.slots,
            gate=self.gate,
            interpreter=self.interpreter,
            clock=self.clock,
            performer=self,
        )
        self.spawn(self._live, interaction_id, actor)
        self.live[interaction_id] = actor
        self._stir(interaction_id)
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
        await self._give_up(interaction_id, "internal_error", error)

    async def _give_up(self, interaction_id: str, code: str, error: Exception) -> None:
        known = await self.reader.interaction(interaction_id)
        if known is None or known.state in FINAL_INTERACTION:
            return
        text = f"Failed: a bug in orchestrald, please report it with its log. {type(error).__name__}: {error}"
        if code == "lost_output":
            text = f"Failed: an output that a later step needs is lost. {error} Was it restored by half?"
        lost = Lost(interaction_id, known.thread_id, code, plain(text))
        await self.journal.append(await farewell(self.reader, lost, self.clock.now()))
        self._over(known.thread_id, interaction_id)

    def _stir(self, interaction_id: str) -> None:
        stirring = self._stirring.pop(interaction_id, None)
        if stirring is not None:
            stirring.set()

    def _over(self, thread_id: str, interaction_id: str) -> None:
        self._stir(interaction_id)
        self.waits.put(interaction_id, ())
        if self.threads.drop(thread_id, interaction_id):
            self.submissions.advance(thread_id)

    async def _until_it_fails(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            await function(*arguments)
        except StoreError as error:
            self._fail(error)
            raise

    def _ended(self) -> OrchestralError:
        """Why nothing can be asked any more. A new error each time: one that is raised twice grows its traceback."""
        if self.failure is not None:
            return StoreError(self.failure.message, hint=self.failure.advice)
        return Draining()

    # --- what clients look at -----------------------------------------------------------------------------------

    async def wait(self, interaction_id: str, seconds: float) -> bool:
        """Wait until the interaction is final or waits for somebody; False when the time was over first.

        Raises StoreError or Draining when neither can happen any more.
        """
        with trio.move_on_after(seconds):
            while not await self._settled(interaction_id):
                pass
            return True
        return False

    async def _settled(self, interaction_id: str) -> bool:
        """True once it is final or waits for somebody; False after it has stirred, and must be looked at again."""
        if (actor := self.live.get(interaction_id)) is not None:
            await actor.settled.wait()
            if actor.lost:
                raise InternalError() if actor.broken else self._ended()
            return actor.state.final or actor.waits_for_somebody
        await self._refuse_if_stopped(interaction_id)
        known = await self.reader.interaction(interaction_id)
        if interaction_id in self.live:
            return False
        if known is None or not self._stirs_by_itself(known):
            return True
        await self._stirring.setdefault(interaction_id, trio.Event()).wait()
        return False

    def _stirs_by_itself(self, known: InteractionRow) -> bool:
        """It waits for its turn, or for nothing but a moment."""
        if known.state == InteractionState.WAITING:
            return all(wait.kind == "until" for wait in self.waits.of(known.interaction_id))
        return known.state == InteractionState.QUEUED

    async def _refuse_if_stopped(self, interaction_id: str) -> None:
        if self.failure is not None or self._ending:
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
        return show(await hydrate(events, self.references, to_show=True), events[-1].seq)

    async def _events_of(self, interaction_id: str) -> list[Event]:
        events: list[Event] = []
        while True:
            after = events[-1].seq if events else 0
            page = await self.reader.events(after_seq=after, interaction_id=interaction_id, limit=5000)
            events += page
            if len(page) < 5000:
                return events

    async def submit(
        self,
        *,
        by: str,
        intent: str = "",
        graph: Graph | None = None,
        source: str = "intent",
        thread_id: str | None = None,
        workspace: str = "",
        labels: Mapping[str, str] | None = None,
        policy: str | None = None,
        unattended: bool = False,
        remember: RememberSubmission | None = None,
    ) -> Submission:
        """An input, from a plan where `graph` is given. Returns when what becomes of it is durable."""
        if self.failure is not None or self.draining:
            raise self._ended()
        asked = Asked(by, intent, graph, source, workspace, labels or {}, unattended)
        return await self.submissions.submit(asked, thread_id, policy, remember)

    # --- what submissions, steering and the mailbox ask for -----------------------------------------------------

    async def wake(self, interaction_id: str) -> Actor:
        """The interaction's actor, brought back from the journal when it is not in memory. Tell it something at once:
        one that rests, or is over, leaves again when it has nothing to do. Raises NotFound.
        """
        while (actor := self.live.get(interaction_id)) is None:
            if interaction_id in self._waking:
                await self._waking[interaction_id].wait()
                continue
            done = self._waking[interaction_id] = trio.Event()
            try:
                await self._refuse_if_stopped(interaction_id)
                events = await self._events_of(interaction_id)
                if not events:
                    raise NotFound(f"There is no interaction {interaction_id}.")
                state = await hydrate(events, self.references)
                actor = self.adopt(interaction_id, state)
                actor.last_seq = events[-1].seq
                return actor
            finally:
                del self._waking[interaction_id]
                done.set()
        return actor

    async def deliver(self, interaction_id: str, happened: Input) -> None:
        """Tell an interaction something that nobody waits for an answer to."""
        try:
            if isinstance(happened, Admitted):
                happened = await self._seeing(await self.wake(interaction_id), happened)
            (await self.wake(interaction_id)).tell(happened)
        except StoreError:
            raise
        except Exception as error:  # promise 3: what cannot be brought back ends in words
            log.error("interaction %s cannot be brought back", interaction_id, exc_info=error)
            code = "lost_output" if isinstance(error, NotFound | DamagedReference) else "internal_error"
            await self._give_up(interaction_id, code, error)

    async def _seeing(self, actor: Actor, happened: Admitted) -> Admitted:
        """What waited in a queue sees what is kept now: what ran before it may have been why it was asked for."""
        state = actor.state
        if state.graph is None or not state.graph.reads:
            return happened
        try:
            seen = await self.working_set.freeze(state.graph, state.thread_id, state.id)
        except PlanError:
            return happened  # there is too much of it by now; when it was submitted there was not
        return replace(happened, memory=seen.memory)

    async def ask(self, actor: Actor, happened: Input, remember: Remember | None) -> None:
        """Returns when the consequences are durable. Raises what it was refused with."""
        reply = await actor.ask(happened, remember)
        if reply.lost:
            raise InternalError() if actor.broken else self._ended()
        if reply.refusal is not None:
            raise _REFUSALS.get(reply.refusal.code, WrongState)(reply.refusal.message)

    def spawn(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._nursery is None:
            raise self._ended()
        try:
            self._nursery.start_soon(self._until_it_fails, function, arguments)
        except RuntimeError:  # the last of us has just ended, and the nursery with it
            raise self._ended() from None

    # --- what actors ask for ------------------------------------------------------------------------------------

    def run_action(self, actor: Actor, effect: RunAction, slots: list[str]) -> None:
        # The scope exists before the attempt begins, so that a cancellation which comes at once is not lost.
        scope = actor.scopes[effect.step_id] = trio.CancelScope()
        self.spawn(self._attempt, actor, effect, slots, scope)

    async def _attempt(self, actor: Actor, effect: RunAction, slots: list[str], scope: trio.CancelScope) -> None:
        try:
            happened = await self._attempts.run(actor, effect, self.actions.get(effect.action), scope)
            happened = await self._with_room(actor.state, happened)
        finally:
            actor.scopes.pop(effect.step_id, None)
            self.slots.give_back(slots)
        actor.tell(happened)

    async def _with_room(self, state: Interaction, happened: Input) -> Input:
        """What happened, unless the working set has no room for what the step is to remember."""
        if not isinstance(happened, ActionSucceeded):
            return happened
        run = state.runs.get(happened.step_id)
        failure = await self.working_set.no_room(state, run.node.remember) if run is not None else None
        return happened if failure is None else ActionFailed(happened.at, happened.step_id, failure)

    def stop_action(self, actor: Actor, effect: StopAction) -> None:
        if scope := actor.scopes.get(effect.step_id):
            scope.cancel()

    def propose_plan(self, actor: Actor, effect: ProposePlan) -> None:
        self.spawn(self._plan, actor, effect)

    async def _plan(self, actor: Actor, effect: ProposePlan) -> None:
        await self.deliver(actor.state.id, await self.planning.propose(actor.state, effect))

    def set_timer(self, actor: Actor, effect: SetTimer) -> None:
        self._wake_at(effect.due_at, actor.state.id, effect.step_id)

    def _wake_at(self, due_at: int, interaction_id: str, step_id: str) -> None:
        self.timers.set(due_at, partial(self._time_has_come, due_at, interaction_id, step_id))

    def _time_has_come(self, due_at: int, interaction_id: str, step_id: str) -> None:
        # The wall clock may have been set back since the timer looked at it, and nobody would come a second time.
        happened = TimerFired(max(self.clock.now(), due_at), step_id)
        if interaction_id in self.live or self.waits.waits(interaction_id, step_id):
            self.spawn(self.deliver, interaction_id, happened)

    def log(self, actor: Actor, effect: Log) -> None:
        log.log(logging.getLevelName(effect.level.upper()), "%s: %s", actor.state.id, effect.message)

    def observer(self, actor: Actor, step_id: str) -> Observer:
        return _Observer(self, actor, step_id)

    def record_violation(self, actor: Actor, step_id: str, data: dict[str, Any]) -> None:
        state = actor.state
        event = Event("step.violation", data, state.thread_id, state.id, step_id, self.clock.now())
        self.spawn(self.journal.append, Batch([event]))


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


def _standing(state: Interaction) -> Standing:
    return Standing(state.id, standing_of(state.state), state.created_at, state.interrupts)


_REFUSALS: dict[str, type[OrchestralError]] = {
    "not_found": NotFound,
    "wrong_state": WrongState,
    "invalid_params": InvalidParams,
    "conflict": Conflict,
    "denied": Denied,
}
