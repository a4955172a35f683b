"""What becomes of an input: is it an answer, does it start, wait, join, or is it refused?

Rules of this file:

- Between the look at a thread and the reservation of a place in it nothing is awaited: of two inputs that come at once
  the second sees the first.
- Interrupting is queueing behind what is being cancelled: the new one is durable before the old one is told, and starts
  when the last process of the old one is gone.
- Only what a person typed may answer a wait, and only an ordinary question; a schedule's words or a file's name never.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import trio

from orchestrald.core import schema
from orchestrald.core.concurrency import BUILT_IN, Decision, Merge, Policy, Queue, Reject, Situation, Standing, admit
from orchestrald.core.events import Event
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import Admitted, Answered, CancelRequested, Merged, Submitted
from orchestrald.core.interaction import Interaction
from orchestrald.engine.clock import Clock
from orchestrald.engine.host import Host
from orchestrald.engine.memory import WorkingSet
from orchestrald.engine.threads import Threads
from orchestrald.engine.waits import Waits
from orchestrald.errors import Draining, NotFound, OrchestralError, Rejected, StoreError, WrongState
from orchestrald.store.base import Appender, Batch, Reader, RequestRow, ThreadRow

log = logging.getLogger("orchestrald.engine")

Disposition = Literal["started", "queued", "merged", "answered"]


class Submission(NamedTuple):
    """What became of an input. `step_id` is the step that it answered; empty when it answered none."""

    state: Interaction
    disposition: Disposition
    step_id: str = ""


Remember = Callable[[Interaction, Disposition, str], RequestRow]


class Asked(NamedTuple):
    """One input, as it came."""

    by: str
    intent: str = ""
    graph: Graph | None = None
    source: str = "intent"
    workspace: str = ""
    labels: Mapping[str, str] = {}
    unattended: bool = False
    forked_from: str = ""
    carried: Mapping[str, dict[str, Any]] = {}
    loaded: Mapping[str, Any] = {}
    approved: str = ""


class Policies(NamedTuple):
    """`known` are the policies by name; `default` is the one of threads that name none."""

    known: Callable[[], Mapping[str, Policy]]
    default: str
    max_queued: int


ORDINARY = Policies(lambda: BUILT_IN, "interrupt_and_start_new", 100)


class Submissions:
    def __init__(
        self,
        host: Host,
        journal: Appender,
        reader: Reader,
        clock: Clock,
        threads: Threads,
        waits: Waits,
        policies: Policies,
        *,
        working_set: WorkingSet,
    ) -> None:
        self._host = host
        self._journal = journal
        self._reader = reader
        self._clock = clock
        self._threads = threads
        self._waits = waits
        self._policies = policies
        self._working_set = working_set

    async def submit(
        self, asked: Asked, thread_id: str | None = None, policy: str | None = None, remember: Remember | None = None
    ) -> Submission:
        """Start an interaction, or whatever the thread's policy makes of it. Returns when that is durable.

        `policy` overrides the thread's for this one input. Raises NotFound, WrongState for an archived thread, and
        Rejected; then the input is recorded all the same.
        """
        named = self._clock.identifier("int_")
        if thread_id is None:
            thread_id = self._clock.identifier("thr_")
            asked = await self._seeing(asked, thread_id, named)
            return await self._start(asked, named, thread_id, None, (), remember, new_thread=True)
        thread = await self._thread(thread_id)
        asked = await self._seeing(asked, thread_id, named)
        merging = True
        while True:
            if (answered := await self._answer(asked, thread_id, remember)) is not None:
                return answered
            if thread_id in self._threads.archived:
                raise _archived(thread_id)
            situation = self._threads.situation(thread_id, asked.intent, asked.source, asked.by)
            name = policy or thread.policy or self._policies.default
            decision = self._decide(name if merging else "queue", situation)
            if isinstance(decision, Reject):
                await self._refuse(asked, thread_id, decision.reason)
            if isinstance(decision, Merge):
                merged = await self._merge(asked, decision.interaction_id, remember)
                if merged is not None:
                    return merged
                merging = False  # it has no plan yet or no more, or is of another kind: wait behind it
                continue
            queued, cancel = (name, decision.cancel) if isinstance(decision, Queue) else (None, ())
            return await self._start(asked, named, thread_id, queued, cancel, remember, behind=situation.active)

    async def _seeing(self, asked: Asked, thread_id: str, interaction_id: str) -> Asked:
        """With what the plan reads of the working set. Before the look at the thread: this is awaited."""
        if asked.graph is None:
            return asked
        return asked._replace(graph=await self._working_set.freeze(asked.graph, thread_id, interaction_id))

    @property
    def policies(self) -> Mapping[str, Policy]:
        return self._policies.known()

    def _decide(self, name: str, situation: Situation) -> Decision:
        policy = self.policies.get(name)
        if policy is None:
            return Reject(f"the thread's policy {name} is not known any more")
        return admit(policy, situation, self._policies.max_queued)

    async def _thread(self, thread_id: str) -> ThreadRow:
        thread = await self._reader.thread(thread_id)
        if thread is None:
            raise NotFound(f"There is no thread {thread_id}.")
        if thread.archived_at is not None:
            raise _archived(thread_id)
        return thread

    async def _start(
        self,
        asked: Asked,
        interaction_id: str,
        thread_id: str,
        queued: str | None,
        cancel: tuple[str, ...],
        remember: Remember | None,
        *,
        behind: tuple[str, ...] = (),
        new_thread: bool = False,
    ) -> Submission:
        now = self._clock.now()
        happened = Submitted(
            at=now,
            interaction_id=interaction_id,
            thread_id=thread_id,
            intent=asked.intent,
            by=asked.by,
            source=asked.source,
            graph=asked.graph,
            workspace=asked.workspace,
            labels=dict(asked.labels),
            new_thread=new_thread,
            max_replans=self._host.max_replans,
            unattended=asked.unattended,
            queued=queued or "",
            behind=behind if queued else (),
            interrupts=cancel,
            forked_from=asked.forked_from,
            carried=dict(asked.carried),
            approved=asked.approved,
        )
        disposition: Disposition = "queued" if queued else "started"
        self._threads.put(thread_id, Standing(interaction_id, "queued" if queued else "active", now, cancel))
        try:
            actor = self._host.adopt(interaction_id, Interaction(loaded=dict(asked.loaded)))
            row = None if remember is None else lambda state: remember(state, disposition, "")
            await self._host.ask(actor, happened, row)
        except OrchestralError:  # not when its client goes: what was submitted stands
            self._threads.drop(thread_id, interaction_id)
            raise
        self._interrupt(cancel, interaction_id, asked.by)
        self.advance(thread_id)
        return Submission(actor.state, disposition)

    def runs_beside(self, thread: ThreadRow | None) -> bool:
        """Whether the thread's policy lets something start while something else is active."""
        return ((thread and thread.policy) or self._policies.default) == "parallel"

    def _interrupt(self, cancelled: tuple[str, ...], by_interaction: str, by: str) -> None:
        for each in cancelled:
            reason = f"interrupted by {by_interaction}"
            self._host.spawn(self._host.deliver, each, CancelRequested(self._clock.now(), by, reason))

    def interrupt_again(self, state: Interaction) -> None:
        """After a crash: what was to be cancelled for this one may not have heard of it."""
        alive = [i for i in state.interrupts if self._threads.state_of(state.thread_id, i) != "final"]
        self._interrupt(tuple(alive), state.id, state.by)

    def advance(self, thread_id: str) -> None:
        """Start the first of the thread's queue, if nothing is active any more."""
        if self._host.draining:
            return
        first = self._threads.next_in(thread_id)
        if first is not None:
            self._host.spawn(self._host.deliver, first.interaction_id, Admitted(self._clock.now()))

    async def _merge(self, asked: Asked, interaction_id: str, remember: Remember | None) -> Submission | None:
        if asked.graph is not None:
            raise WrongState("A plan cannot be merged into another.", hint="Give an intent, or another policy.")
        try:
            actor = await self._host.wake(interaction_id)
            if (asked.workspace, asked.unattended) != (actor.state.workspace, actor.state.unattended):
                return None  # its steps would see other files, or ask a person where nobody was to be asked
            row = None if remember is None else lambda state: remember(state, "merged", "")
            await self._host.ask(actor, Merged(self._clock.now(), asked.intent, asked.by), row)
        except WrongState:
            await trio.lowlevel.checkpoint()
            return None
        return Submission(actor.state, "merged")

    async def _answer(self, asked: Asked, thread_id: str, remember: Remember | None) -> Submission | None:
        """A person's plain words answer the one question of the thread that they fit, if there is exactly one."""
        if asked.graph is not None or asked.source != "intent" or asked.unattended:
            return None
        alive = self._threads.situation(thread_id, "", "", "").alive
        open_ = [w for each in alive for w in self._waits.of(each.interaction_id) if w.kind in _ANSWERABLE]
        if len(open_) != 1:
            return None
        wait = open_[0]
        rows = await self._reader.waits(interaction_id=wait.interaction_id, kinds=[wait.kind])
        shape = next((row.question.get("schema") for row in rows if row.step_id == wait.step_id), None)
        if not rows or any(schema.errors(shape or {}, asked.intent)):
            return None
        try:
            actor = await self._host.wake(wait.interaction_id)
            row = None if remember is None else lambda state: remember(state, "answered", wait.step_id)
            await self._host.ask(actor, Answered(self._clock.now(), wait.step_id, asked.intent, asked.by), row)
        except (StoreError, Draining):
            raise
        except OrchestralError:
            return None  # somebody was faster: then it is an input like any other
        except Exception:  # promise 3: one whose events cannot be followed does not keep others from their thread
            log.exception("interaction %s cannot be brought back", wait.interaction_id)
            return None
        return Submission(actor.state, "answered", wait.step_id)

    async def _refuse(self, asked: Asked, thread_id: str, reason: str) -> None:
        data = {"intent": asked.intent, "source": asked.source, "by": asked.by, "reason": reason}
        event = Event("input.rejected", data, thread_id, at=self._clock.now())
        (recorded,) = await self._journal.append(Batch([event]))
        raise Rejected(f"Not started: {reason}.", data={"thread_id": thread_id, "seq": recorded.seq})


def _archived(thread_id: str) -> WrongState:
    return WrongState(f"The thread {thread_id} is archived.", hint="Unarchive it, or use another thread.")


_ANSWERABLE = frozenset({"input", "clarification"})
