"""Who owns one interaction while it lives?

Rules of this file:

- Append events, then perform effects. One that only computes (putting the outcome into words by rules) may come first.
- One actor owns one state; everybody else talks to it through its inbox.
- All inputs that wait when the actor is free become one commit: a finished step and the next one's start share it.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import trio

from orchestrald.core.approval import Gate
from orchestrald.core.decide import decide
from orchestrald.core.effects import Effect, Explain, Log, ProposePlan, RunAction, SetTimer, StopAction, StopAsking
from orchestrald.core.events import Event
from orchestrald.core.inputs import Explained, Input, SlotsFreed
from orchestrald.core.interaction import Interaction
from orchestrald.core.states import InteractionState
from orchestrald.core.turn import Refusal
from orchestrald.engine.clock import Clock
from orchestrald.engine.letters import Letter, Remember, Reply
from orchestrald.engine.listing import Listing
from orchestrald.engine.slots import DaemonSlots, InteractionSlots
from orchestrald.interpreter.base import Interpreter
from orchestrald.store.base import Appender, RequestRow, WaitsChange

log = logging.getLogger("orchestrald.engine")

T = TypeVar("T")


class Performer(Protocol):
    """Who performs an actor's effects: the part of the engine that meets planner, runner and timers."""

    def run_action(self, actor: "Actor", effect: RunAction, slots: list[str]) -> None: ...

    def stop_action(self, actor: "Actor", effect: StopAction) -> None: ...

    def propose_plan(self, actor: "Actor", effect: ProposePlan) -> None: ...

    def explain(self, actor: "Actor", effect: Explain) -> None: ...

    def stop_asking(self, actor: "Actor", effect: StopAsking) -> None: ...

    def set_timer(self, actor: "Actor", effect: SetTimer) -> None: ...

    def log(self, actor: "Actor", effect: Log) -> None: ...


TurnEnded = Callable[["Actor", WaitsChange | None], None]
"""All that the actor decided is durable; with what changes among the steps that wait, if anything."""


class Actor:
    """One interaction. `settled` is set whenever it is final or waits for somebody, and replaced when it goes on.

    `lost` means that its life ended before the interaction did.
    """

    def __init__(
        self,
        state: Interaction,
        *,
        journal: Appender,
        slots: DaemonSlots,
        gate: Callable[[], Gate],
        interpreter: Interpreter,
        clock: Clock,
        listed: Iterable[str],
        performer: Performer,
        turn_ended: TurnEnded,
    ) -> None:
        self.state = state
        self.settled = trio.Event()
        self.scopes: dict[str, trio.CancelScope] = {}
        self.last_seq = 0
        self.lost = False
        self.broken = False
        self.listing = Listing(listed, state.resting)
        self._left = False
        self._journal = journal
        self._daemon_slots = slots
        self._slots = InteractionSlots(slots, self)
        self._gate = gate
        self._interpreter = interpreter
        self._clock = clock
        self._performer = performer
        self._turn_ended = turn_ended
        self._inbox: list[Letter] = []
        self._mail = trio.Event()
        self._turning = False
        self._unanswered: list[Reply] = []
        self._viewers: list[Callable[[], None]] = []

    @property
    def busy(self) -> bool:
        """Whether it was told something whose consequences are not durable yet."""
        return self._turning or bool(self._inbox)

    def tell(self, happened: Input) -> None:
        self._inbox.append(Letter(happened))
        self._mail.set()

    async def ask(self, happened: Input, remember: Remember | None = None) -> Reply:
        """Returns when the consequences are durable. A caller that is cancelled stops waiting; the input stands."""
        reply = Reply()
        if self._left:
            reply.lost = True
            return reply
        self._inbox.append(Letter(happened, reply, remember))
        self._unanswered.append(reply)
        self._mail.set()
        await reply.done.wait()
        return reply

    async def view(self, show: Callable[[Interaction, int], T]) -> T | None:
        """What `show` makes of the state and the newest `seq` in it, at a moment when all of it is durable.

        Missing when the actor is lost first: what it had decided may never have happened.
        """
        if not self._turning:
            return show(self.state, self.last_seq)
        shown: list[T] = []
        seen = trio.Event()

        def look() -> None:
            if not self.lost:
                shown.append(show(self.state, self.last_seq))
            seen.set()

        self._viewers.append(look)
        await seen.wait()
        return shown[0] if shown else None

    def slots_freed(self) -> None:
        self.tell(SlotsFreed(self._clock.now()))

    async def run(self) -> None:
        """Live until it is final or rests, and nothing of it runs. Raises StoreError when the journal fails."""
        try:
            while self._inbox or self.scopes or not (self.state.final or self.state.resting):
                if not self._inbox:
                    await self._mail.wait()
                self._mail = trio.Event()
                await self._turn()
        finally:
            self._daemon_slots.forget(self)
            self._leave()

    def _leave(self) -> None:
        """Keep nobody waiting for what will not come."""
        self._left = True
        self.lost = self.busy or not (self.state.final or self.state.resting)
        for reply in self._unanswered:
            reply.lost = True
            reply.done.set()
        self.settled.set()
        self._let_look()

    async def _turn(self) -> None:
        self._turning = True
        if self.settled.is_set():  # what is decided now is not durable yet, and it may go on
            self.settled = trio.Event()
        letters = self._take_letters()
        woken_from = self._daemon_slots.turn_begins(self)
        events: list[Event] = []
        effects: list[Effect] = []
        request: RequestRow | None = None
        for letter in letters:
            refusal = self._decide(letter.happened, events, effects)
            if letter.reply is not None:
                letter.reply.refusal = refusal
            if letter.remember is not None and refusal is None:
                request = letter.remember(self.state)
        slots, self._slots.taken = self._slots.taken, []
        waits = None
        if events or request or (self.listing.unsure and not self.state.final):
            waits = await self._commit(events, request)
        self._perform(effects, slots)
        self._daemon_slots.turn_ends(woken_from)
        for letter in letters:
            if letter.reply is not None:
                self._unanswered.remove(letter.reply)
                letter.reply.events = events
                letter.reply.done.set()
        if self.state.final or self.waits_for_somebody:
            self.settled.set()
        self._turning = False
        self._let_look()
        self._turn_ended(self, waits)

    def _take_letters(self) -> list[Letter]:
        """All that lie there, but of requests to be remembered only one: its answer must be durable with its events."""
        remembered = [i for i, letter in enumerate(self._inbox) if letter.remember is not None]
        end = remembered[1] if len(remembered) > 1 else len(self._inbox)
        letters, self._inbox = self._inbox[:end], self._inbox[end:]
        return letters

    def _let_look(self) -> None:
        viewers, self._viewers = self._viewers, []
        for look in viewers:
            look()

    def _decide(self, happened: Input, events: list[Event], effects: list[Effect]) -> Refusal | None:
        decision = decide(self.state, happened, self._slots, self._gate())
        events += decision.events
        for effect in decision.effects:
            if isinstance(effect, Explain) and not self._takes_time(effect.status):
                text = self._in_words(effect.status)
                self._decide(Explained(happened.at, effect.status, text), events, effects)
            else:
                effects.append(effect)
        return decision.refusal

    def _takes_time(self, status: str) -> bool:
        try:
            return self._interpreter.wants_to_narrate(self.state, status)
        except Exception:  # promise 3, as in `_in_words`
            log.exception("the interpreter failed at %s", self.state.id)
            return False

    def _in_words(self, status: str) -> str:
        try:
            return self._interpreter.explain(self.state, status)
        except Exception as error:  # promise 3: an interpreter's bug must not leave the interaction without an end
            log.exception("the interpreter failed at %s", self.state.id)
            return f"It {_ENDED[status]}; putting that into words failed: {type(error).__name__}: {error}"

    async def _commit(self, events: list[Event], request: RequestRow | None) -> WaitsChange | None:
        """Returns what changes among the steps that wait; missing when nothing does."""
        batch = self.listing.batch(self.state, events, request)
        committed = await self._journal.append(batch)
        if committed:
            self.last_seq = committed[-1].seq
        return batch.waits

    def _perform(self, effects: list[Effect], slots: list[list[str]]) -> None:
        taken = iter(slots)
        for effect in effects:
            match effect:
                case RunAction():
                    self._performer.run_action(self, effect, next(taken))
                case StopAction():
                    self._performer.stop_action(self, effect)
                case ProposePlan():
                    self._performer.propose_plan(self, effect)
                case Explain():
                    self._performer.explain(self, effect)
                case StopAsking():
                    self._performer.stop_asking(self, effect)
                case SetTimer():
                    self._performer.set_timer(self, effect)
                case Log():
                    self._performer.log(self, effect)

    @property
    def waits_for_somebody(self) -> bool:
        """A step that waits for a moment goes on by itself: who waits for the interaction waits on."""
        if self.state.state is not InteractionState.WAITING:
            return self.state.state is InteractionState.PAUSED
        return any(run.question is not None and run.question.kind != "until" for run in self.state.waiting.values())


_ENDED = {"completed": "is completed", "failed": "has failed", "cancelled": "was cancelled"}
