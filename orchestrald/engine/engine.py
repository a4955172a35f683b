"""The one place where the core meets IO: which interactions are in memory, and how they live.

Rules of this file:

- Append events, then perform effects (`actor` keeps that order for each interaction).
- Nothing is acknowledged before it is durable.
- A failing journal stops the engine, with nothing marked as done: a restart is clean by construction. Reads go on.
- What only waits is not in memory: `wake` brings it back from the journal when something comes for it.

What clients ask for is next door: `submissions` (what becomes of an input), `steering` (what is done to what is there),
`mailbox` (external events), `looking` (what it looks like, and when it rests). What interactions ask for is in
`performing`.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import trio

from orchestrald.core.approval import NO_RULES, Gate
from orchestrald.core.artifacts import whole
from orchestrald.core.concurrency import Standing
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import Admitted, CancelRequested, Input, Recovered
from orchestrald.core.interaction import Interaction
from orchestrald.core.states import FINAL_INTERACTION, InteractionState
from orchestrald.engine.actor import Actor
from orchestrald.engine.artifacts import Artifacts
from orchestrald.engine.asking import Asking
from orchestrald.engine.clock import Clock
from orchestrald.engine.letters import Remember
from orchestrald.engine.looking import Looking
from orchestrald.engine.mailbox import Mailbox
from orchestrald.engine.memory import WorkingSet
from orchestrald.engine.model_calls import UNLIMITED, Budgets, ModelCalls
from orchestrald.engine.notices import NOBODY, Notices, Notifiers
from orchestrald.engine.performing import Actions, Performing, Spectators
from orchestrald.engine.planning import ORDINARY_BOUNDS, Bounds, Planning
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
from orchestrald.protocol.strict_json import dumps
from orchestrald.runner.base import Runner
from orchestrald.store.base import Appender, Reader, ReferenceStore, RestingRow, WaitRow, WaitsChange

log = logging.getLogger("orchestrald.engine")

T = TypeVar("T")


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
        inline_output_bytes: int = 64 * 1024,
        policies: Policies = ORDINARY,
        max_interactions_per_thread: int = 10,
        retain_unmatched: float = 7 * 86400.0,
        gate: Callable[[], Gate] = lambda: NO_RULES,
        bounds: Callable[[], Bounds] = lambda: ORDINARY_BOUNDS,
        budgets: Callable[[], Budgets] = lambda: UNLIMITED,
        retention: float | None = None,
        notifiers: Notifiers = NOBODY,
    ) -> None:
        self.journal = journal = WatchedJournal(journal, self._fail)
        self.reader = reader
        self.references = references
        self.working_set = WorkingSet(journal, reader, clock)
        self.model_calls = ModelCalls(journal, reader, clock, budgets)
        self.planning = Planning(planner, actions, clock, self.working_set, reader, self.model_calls, bounds)
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
        self.notices = Notices(notifiers, self.spawn)
        self.max_replans = bounds().replans if planner.replans else 0
        self.failure: StoreError | None = None
        self.artifacts = Artifacts(self, journal, reader, references, clock, self.timers, retention)
        self._inline_output_bytes = inline_output_bytes
        self.performing = Performing(
            self,
            journal=journal,
            references=references,
            runner=runner,
            actions=actions,
            asking=Asking(self, self.planning, interpreter, self.model_calls, spectators, clock),
            spectators=spectators,
            clock=clock,
            timers=self.timers,
            slots=self.slots,
            waits=self.waits,
            working_set=self.working_set,
            inline_output_bytes=inline_output_bytes,
            kept_until=self.artifacts.until,
        )
        self._nursery: trio.Nursery | None = None
        self._recovering = True
        self._ending = False
        self._quiet = trio.Event()
        self._waking: dict[str, trio.Event] = {}
        self.looking = Looking(self, reader, references, self.waits)
        self.submissions = Submissions(
            self, journal, reader, clock, self.threads, self.waits, policies, working_set=self.working_set
        )
        self.steering = Steering(self, reader, clock, self.threads, self.planning, self.submissions)
        self.mailbox = Mailbox(self, journal, reader, clock, self.waits, int(retain_unmatched * 1_000_000))
        self.wait, self.view = self.looking.wait, self.looking.view
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
            if self._recovering:
                raise  # nothing runs yet: a daemon that could not recover must not look as if it had
        finally:
            self._nursery, self._ending = None, True
            self.looking.stir_all()
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
        self._index(resting, waits)
        for each in lost:
            log.error("%s cannot go on: %s", each.interaction_id, each.text)
            await self.journal.append(await farewell(self.reader, each, self.clock.now()))
        for state, _ in found:
            self.threads.put(state.thread_id, _standing(state))
            self.waits.change(state.id, WaitsChange(waits.get(state.id, ())))
        self._go_on(found)
        await self.mailbox.load()
        self.mailbox.offer_all()
        if found or resting:
            log.info("recovered %d unfinished interactions; %d more wait", len(found), len(resting))

    def _index(self, resting: list[RestingRow], waits: Mapping[str, list[WaitRow]]) -> None:
        for row in resting:
            standing = standing_of(InteractionState(row.state))
            self.threads.put(row.thread_id, Standing(row.interaction_id, standing, row.created_at))
            found = waits.get(row.interaction_id, ())
            self.waits.change(row.interaction_id, WaitsChange(found))
            for wait in found:
                if wait.due_at is not None:
                    self.performing.wake_at(wait.due_at, wait.interaction_id, wait.step_id)

    def _go_on(self, found: list[tuple[Interaction, int]]) -> None:
        doomed = {each for state, _ in found if state.state is InteractionState.QUEUED for each in state.interrupts}
        for state, last_seq in found:
            actor = self.adopt(state.id, state)
            actor.last_seq, actor.listing.unsure = last_seq, True
            if state.id in doomed:  # first, so that nothing of it is begun again
                actor.tell(CancelRequested(self.clock.now(), state.by, "interrupted by another input"))
            actor.tell(Recovered(self.clock.now()))
            if state.state is InteractionState.QUEUED:
                self.submissions.interrupt_again(state)
        for thread_id in self.threads.names():
            self.submissions.advance(thread_id)

    async def drain(self, seconds: float) -> None:
        """Start nothing any more, and give what runs some time. What still runs then becomes `interrupted`.

        What came to its end is durable when this returns: a step that nobody wrote down would be run again.
        """
        self.slots.close()
        with trio.move_on_after(seconds):
            while self.slots.running or self.performing.asking or any(actor.busy for actor in self.live.values()):
                self._quiet = trio.Event()
                await self._quiet.wait()

    def turn_ended(self, actor: Actor, waits: WaitsChange | None) -> None:
        """All that the actor decided is durable: the indexes follow, and whoever may have room now is told."""
        self._quiet.set()
        state = actor.state
        if not state.id:
            return
        if state.final:
            self._over(state.thread_id, state.id)
            return
        if waits is not None:
            self._forget_moments(state.id, waits.ended)
            self.waits.change(state.id, waits)
            self.mailbox.waits_began(waits.began)
            self.notices.waits_began(state, waits.began)
        if self.threads.put(state.thread_id, _standing(state)):
            self.submissions.advance(state.thread_id)

    @property
    def stopped(self) -> bool:
        return self.failure is not None or self._ending

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
            listed=[wait.step_id for wait in self.waits.of(interaction_id)],
            performer=self.performing,
            turn_ended=self.turn_ended,
        )
        self.spawn(self._live, interaction_id, actor)
        self.live[interaction_id] = actor
        self.looking.stir(interaction_id)
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
        self.performing.asking.stop(actor)
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

    def _forget_moments(self, interaction_id: str, steps: Iterable[str]) -> None:
        for step_id in steps:
            self.timers.drop((interaction_id, step_id))

    def _over(self, thread_id: str, interaction_id: str) -> None:
        self.looking.stir(interaction_id)
        self._forget_moments(interaction_id, [wait.step_id for wait in self.waits.of(interaction_id)])
        self.waits.change(interaction_id, WaitsChange(over=True))
        if self.threads.drop(thread_id, interaction_id):
            self.submissions.advance(thread_id)

    async def _until_it_fails(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            await function(*arguments)
        except StoreError as error:
            self._fail(error)
            raise

    def ended(self) -> OrchestralError:
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
        labels: Mapping[str, str] | None = None,
        policy: str | None = None,
        unattended: bool = False,
        approved: str = "",
        remember: RememberSubmission | None = None,
    ) -> Submission:
        """An input, from a plan where `graph` is given. Returns when what becomes of it is durable."""
        if self.failure is not None or self.draining:
            raise self.ended()
        asked = Asked(by, intent, graph, source, workspace, labels or {}, unattended, approved=approved)
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
                await self.looking.refuse_if_stopped(interaction_id)
                events = await self.looking.events_of(interaction_id)
                if not events:
                    raise NotFound(f"There is no interaction {interaction_id}.")
                state = await hydrate(events, self.references)
                actor = self.adopt(interaction_id, state)
                # What was given up in the middle left steps that wait, and no rows that say so.
                actor.last_seq, actor.listing.unsure = events[-1].seq, state.final
                return actor
            finally:
                del self._waking[interaction_id]
                done.set()
        return actor

    async def store_large(self, step_id: str, value: Any) -> dict[str, Any] | None:
        """The data of the artifact.stored of a value that is too large for an event; missing when it is not."""
        encoded = dumps(value)
        if len(encoded) <= self._inline_output_bytes:
            return None
        return whole(step_id, await self.references.put(encoded), len(encoded), self.artifacts.until())

    async def deliver(self, interaction_id: str, happened: Input) -> None:
        """Tell an interaction something that nobody waits for an answer to."""
        try:
            if isinstance(happened, Admitted):
                happened = await self._seeing(await self.wake(interaction_id), happened)
            (await self.wake(interaction_id)).tell(happened)
        except StoreError:
            raise
        except Draining:
            return  # the next start sees to it
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
            raise InternalError() if actor.broken else self.ended()
        if reply.refusal is not None:
            raise _REFUSALS.get(reply.refusal.code, WrongState)(reply.refusal.message)

    def spawn(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._nursery is None:
            raise self.ended()
        try:
            self._nursery.start_soon(self._until_it_fails, function, arguments)
        except RuntimeError:  # the last of us has just ended, and the nursery with it
            raise self.ended() from None


def _standing(state: Interaction) -> Standing:
    # What was paused in the middle of a step is active until the step is over: its processes are there.
    standing = "active" if state.state is InteractionState.PAUSED and state.running else standing_of(state.state)
    return Standing(state.id, standing, state.created_at, state.interrupts)


_REFUSALS: dict[str, type[OrchestralError]] = {
    "not_found": NotFound,
    "wrong_state": WrongState,
    "invalid_params": InvalidParams,
    "conflict": Conflict,
    "denied": Denied,
}
