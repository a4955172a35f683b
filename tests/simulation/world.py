"""What outlives the daemon: the disk, the clients, time; and how does a scenario come to its end?

When the last operation has happened there are no more accidents, every question is answered, and time passes until
everything is final. What is not, after that, never will be.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio
from pydantic_core import from_json

from orchestrald.core.states import FINAL_INTERACTION
from orchestrald.engine.clock import TrioClock
from orchestrald.errors import OrchestralError
from orchestrald.protocol.messages import METHODS
from orchestrald.server.dispatch import Peer
from orchestrald.store.memory import MemoryReferences, MemoryStore
from simulation.history import History
from simulation.life import Life
from simulation.performance import Actions
from simulation.testimony import Testimony, Told

if TYPE_CHECKING:
    from simulation.operations import Submit
    from simulation.scenario import Scenario

LONGEST_S = 1_000_000
"""Simulated seconds after which whoever still waits waits in vain."""

PATIENCE_S = 1_000
"""More than all attempts, backoffs and waits of a scenario take in a row."""

ROUNDS = 40
ACTIONS = Actions()
_NOBODY: Any = None
_FINAL = frozenset(state.value for state in FINAL_INTERACTION)


@dataclass
class Weather:
    """How the disk is just now. `last_write_lands`: what is in its hands when the power goes is kept."""

    commit_seconds: float = 0.0
    full: bool = False
    last_write_lands: bool = False


class World:
    def __init__(self, scenario: "Scenario") -> None:
        self.scenario = scenario
        self.kept = MemoryStore()
        self.references = MemoryReferences()
        self.clock = TrioClock(seed=scenario.seed)
        self.actions = ACTIONS
        self.weather = Weather()
        self.rest = 0.5
        self.next_countdown = 0
        self.testimony = Testimony()
        self.intents: dict[str, Submit] = {}
        self.threads: dict[str, str] = {}
        self.first_said: dict[str, str | None] = {}
        """The thread that each request named when it was first made; missing in it: none."""
        self.waits: dict[str, list[str]] = {}
        self.life: Life

    async def run(self) -> None:
        with trio.move_on_after(LONGEST_S) as limit:
            async with trio.open_nursery() as nursery:
                self._begin_life()
                nursery.start_soon(self._lives)
                async with trio.open_nursery() as clients:
                    for operation in self.scenario.operations:  # in the order of their moments
                        if operation.at > trio.current_time():
                            await trio.sleep_until(operation.at)
                        clients.start_soon(operation.happen, self)
                self._clear_up()
                await self._settle()
                for row in await self.kept.reader.waits():
                    self.waits.setdefault(row.interaction_id, []).append(row.step_id)
                nursery.cancel_scope.cancel()
        if limit.cancelled_caught:
            self.testimony.complaints.append("somebody waited for ever")

    def _begin_life(self) -> None:
        self.testimony.life += 1
        self.life = Life(self)
        self.life.countdown, self.next_countdown = self.next_countdown, 0

    async def _lives(self) -> None:
        while True:
            await self.life.run()
            await trio.sleep(self.rest)
            over = self.life
            self._begin_life()
            over.buried.set()

    def history(self) -> History:
        journal = self.kept.journal
        events = [event._replace(data=from_json(text)) for event, text in journal.stored]
        loaded = {digest: from_json(content) for digest, content in self.references.contents.items()}
        about = self.scenario
        return History(events, self.testimony, journal.interactions, loaded, about.slots, about.policy, self.waits)

    # --- what clients do ----------------------------------------------------------------------------------------

    async def serving(self) -> Life:
        """The life that answers now, or the next one."""
        while True:
            life = self.life
            await life.up.wait()
            if life.on and not life.over.is_set():
                return life
            await life.buried.wait()

    async def call(self, method: str, by: int = 1000, **params: Any) -> dict[str, Any] | str | None:
        """What the client was told: an answer, or an error's code; missing when the power went before it was."""
        life = await self.serving()
        answer: dict[str, Any] = {}
        code = ""
        peer = Peer(by, 0, _NOBODY)
        try:
            answer = dict(await life.methods[method](METHODS[method].params.model_validate(params), peer))
        except OrchestralError as error:
            code = error.code
        except Exception as error:  # noqa: BLE001  the socket would say so too, and log it
            code, answer = "internal_error", {"bug": repr(error)}
        if not life.on:
            return None
        self.testimony.told.append(Told(self.testimony.seq, peer.by, method, params, answer, code))
        return code or answer

    # --- how it ends --------------------------------------------------------------------------------------------

    def _clear_up(self) -> None:
        self.weather = Weather()
        self.rest = 0.5
        self.life.countdown = self.next_countdown = 0

    def unfinished(self) -> list[str]:
        rows = self.kept.journal.interactions.values()
        return [row.interaction_id for row in rows if row.state not in _FINAL]

    async def _settle(self) -> None:
        for _ in range(ROUNDS):
            waiting = self.unfinished()
            if not waiting:
                return
            life = await self.serving()
            for interaction_id in waiting:
                try:
                    settled = await life.engine.wait(interaction_id, PATIENCE_S)
                except OrchestralError:
                    break  # this life is nearly over; the next one will do better
                if not settled and not self.testimony.running:
                    self.testimony.complaints.append(f"{interaction_id} neither goes on nor waits for anything")
                    return
                if not settled and any(seen.key[0] == interaction_id for seen in self.testimony.running):
                    await self.call("interaction.cancel", interaction_id=interaction_id)  # it hangs
                for key in [key for key in self.testimony.questions if key[0] == interaction_id]:
                    await self._look_for_mail(key)
                    await self.answer(key, "rightly")
                row = self.kept.journal.interactions[interaction_id]
                if row.state == "paused":
                    await self.call("interaction.resume", interaction_id=interaction_id)
            await trio.sleep(1)

    async def _look_for_mail(self, key: tuple[str, str]) -> None:
        """What has come before it was waited for must have been given to whoever waits now."""
        question = self.testimony.questions.get(key)
        if question is None or question["kind"] != "event" or not await self.kept.reader.mail():
            return
        await trio.sleep(1)
        question = self.testimony.questions.get(key)
        thread_id = self.kept.journal.interactions[key[0]].thread_id
        for mail in await self.kept.reader.mail():
            fits = question and question["event_kind"] == mail.kind and mail.thread_id in {"", thread_id}
            if fits and question.get("correlation") in {None, mail.correlation} and self.life.on:
                self.testimony.complaints.append(f"{key} waits for the event {mail.seq}, which has come")

    async def answer(self, key: tuple[str, str], how: str, by: int = 1000) -> None:
        """Answer a question that waits, if it still does."""
        question = self.testimony.questions.get(key)
        if question is None:
            return
        interaction_id, step_id = key
        where = {"interaction_id": interaction_id, "step_id": step_id}
        match question["kind"], how:
            case ("approval", "crosswise"):
                await self.call("interaction.respond", by, **where, payload="yes")
            case ("approval", _):
                digest = "sha256:another" if how == "wrongly" else question["digest"]
                decision = "deny" if how == "denying" else "approve"
                await self.call("approval.decide", by, **where, digest=digest, decision=decision)
            case (_, "crosswise"):
                await self.call("approval.decide", by, **where, digest="sha256:none", decision="approve")
            case ("interrupted", _):
                decisions = {"wrongly": "perhaps", "denying": "fail", "skipping": "skip"}
                await self.call("interaction.respond", by, **where, payload={"decision": decisions.get(how, "retry")})
            case ("event", "rightly"):
                about = {"kind": question["event_kind"], "correlation": question.get("correlation")}
                await self.call("event.emit", by, **about, payload={"said": "by somebody"})
            case ("until" | "event", _):
                await self.call("interaction.respond", by, **where, payload=1)
            case _:
                await self.call("interaction.respond", by, **where, payload="?" if how == "wrongly" else 1)
