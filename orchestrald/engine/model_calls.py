"""Who lets a model be asked: is there money left, was it asked already, and what did it say?

Rules of this file:

- Append, then perform: `model.asked` is durable before the request is sent, `model.answered` before anybody acts on the
  answer. A call that was answered is never made again, and one that a crash overtook counts as if it had cost all that
  it may, since nobody knows.
- Budgets are looked at before each call, and what is on its way counts with the most that it may cost. One look at a
  time: two calls cannot both spend the last cent.
- A call is identified by its interaction, its part (a planning round, an explanation), its purpose, and its number
  among those of that purpose.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import trio

from orchestrald.core.events import Event
from orchestrald.engine.clock import Clock
from orchestrald.errors import BudgetExhausted, InternalError, OrchestralError
from orchestrald.models.base import Hear, Model, Prompt, Reply, Tokens, storable
from orchestrald.store.base import Appender, Batch, Reader
from orchestrald.store.base_calls import Spent

DAY_US = 86_400 * 1_000_000


class Budget(NamedTuple):
    """What may be spent on models; missing: without end. `cost` in micro-dollars."""

    tokens: int | None = None
    cost: int | None = None

    def refusal(self, whose: str, spent: Spent, tokens: int, cost: int | None) -> str:
        """Why a call that may take so much is not made; empty when it may be."""
        if self.tokens is not None and spent.tokens + tokens > self.tokens:
            return (
                f"The budget of {whose}, {self.tokens:,} tokens, does not allow for another call of up to "
                f"{tokens:,}: {spent.tokens:,} are spent."
            )
        if self.cost is not None and cost is None:
            return f"The budget of {whose} is in money, and the model has no price: nobody knows what a call costs."
        if self.cost is not None and cost is not None and spent.cost + cost > self.cost:
            return (
                f"The budget of {whose}, {dollars(self.cost)}, does not allow for another call of up to "
                f"{dollars(cost)}: {dollars(spent.cost)} are spent."
            )
        return ""


class Budgets(NamedTuple):
    """`day` is any 24 hours, of the whole daemon."""

    interaction: Budget = Budget()
    day: Budget = Budget()


UNLIMITED = Budgets()


class ModelCalls:
    def __init__(self, journal: Appender, reader: Reader, clock: Clock, budgets: Callable[[], Budgets]) -> None:
        self._journal = journal
        self._reader = reader
        self._clock = clock
        self._budgets = budgets
        self._one_at_a_time = trio.Lock()

    @property
    def budgets(self) -> Budgets:
        return self._budgets()

    async def spent_in_a_day(self) -> Spent:
        """In the last 24 hours, by everybody."""
        return await self._reader.calls.spent(since=self._clock.now() - DAY_US)

    def of(self, thread_id: str, interaction_id: str, part: str) -> "Part":
        """The calls of one part of an interaction; without an id of somebody who only asks what would be done."""
        return Part(self, thread_id, interaction_id, part)

    async def answers(self, interaction_id: str, part: str) -> dict[tuple[str, int], Reply]:
        if not interaction_id:
            return {}
        events = await self._reader.events(interaction_id=interaction_id, types=["model.answered"], limit=100_000)
        said = (event.data for event in events)
        return {(data["purpose"], data["number"]): _reply(data) for data in said if data["part"] == part}

    async def begin(self, about: "Part", number: int, purpose: str, model: Model, prompt: Prompt) -> int:
        """The `seq` under which the call is durable. Raises BudgetExhausted."""
        tokens, cost = model.most(prompt)
        async with self._one_at_a_time:
            await self._refuse_if_spent(about, tokens, cost)
            asked = {"model": model.name, "tokens": tokens}
            asked |= {} if cost is None else {"cost": cost}
            return await self.tell(about, (purpose, number), "model.asked", asked)

    async def _refuse_if_spent(self, about: "Part", tokens: int, cost: int | None) -> None:
        budgets = self._budgets()
        if budgets.interaction != Budget():
            whose = about.interaction_id
            spent = await self._reader.calls.spent(interaction_id=whose) if whose else about.spent
            if refusal := budgets.interaction.refusal("this interaction", spent, tokens, cost):
                raise BudgetExhausted(refusal)
        if budgets.day != Budget():
            spent = await self.spent_in_a_day()
            if refusal := budgets.day.refusal("24 hours", spent, tokens, cost):
                raise BudgetExhausted(refusal)

    async def tell(self, about: "Part", which: tuple[str, int], type_: str, data: dict[str, Any]) -> int:
        said = {"part": about.part, "purpose": which[0], "number": which[1], **data}
        event = Event(type_, said, about.thread_id, about.interaction_id, at=self._clock.now())
        (stored,) = await self._journal.append(Batch([event]))
        return stored.seq


class Part:
    """`models.base.Calls`. `spent` is what they took in this life of the daemon."""

    def __init__(self, calls: ModelCalls, thread_id: str, interaction_id: str, part: str) -> None:
        self.thread_id = thread_id
        self.interaction_id = interaction_id
        self.part = part
        self.spent = Spent()
        self._calls = calls
        self._asked: Counter[str] = Counter()
        self._answers: dict[tuple[str, int], Reply] | None = None

    async def ask(self, purpose: str, model: Model, prompt: Prompt, hear: Hear | None = None) -> Reply:
        self._asked[purpose] += 1
        which = purpose, self._asked[purpose]
        if self._answers is None:
            self._answers = await self._calls.answers(self.interaction_id, self.part)
        if which in self._answers:
            return self._answers[which]
        asked = await self._calls.begin(self, which[1], purpose, model, prompt)
        began = trio.current_time()
        try:
            reply = await model.ask(prompt, hear)
        except Exception as error:
            taken = _taken(error)
            self._count(taken.get("tokens", 0), taken.get("cost", 0))
            failed = {"asked": asked, "error": _error(error), "ms": _since(began), **taken}
            await self._calls.tell(self, which, "model.failed", failed)
            raise
        reply = reply._replace(text=storable(reply.text))  # as it will be read after a restart
        self._count(reply.tokens.total, reply.cost or 0)
        with trio.CancelScope(shield=True):  # it is paid: whoever gave up meanwhile may come back for it
            await self._calls.tell(self, which, "model.answered", {"asked": asked, **_data(reply)})
        return reply

    def _count(self, tokens: int, cost: int) -> None:
        taken = self.spent
        self.spent = Spent(taken.calls + 1, taken.tokens + tokens, taken.cost + cost)


def _error(error: Exception) -> dict[str, str]:
    if isinstance(error, OrchestralError):
        return {"code": error.code, "message": storable(error.message)}
    return {"code": InternalError.code, "message": storable(f"{type(error).__name__}: {error}")}


def _taken(error: Exception) -> dict[str, int]:
    """What the call may have taken although it failed, as whoever made it says; empty when nothing."""
    spent = error.data.get("spent") if isinstance(error, OrchestralError) else None
    return {name: spent[name] for name in ("tokens", "cost") if spent.get(name)} if spent else {}


def _since(began: float) -> int:
    return round((trio.current_time() - began) * 1000)


def _data(reply: Reply) -> dict[str, Any]:
    data = {**reply._asdict(), "tokens": reply.tokens._asdict()}
    return {name: value for name, value in data.items() if value is not None}


def _reply(data: dict[str, Any]) -> Reply:
    said = {name: data[name] for name in Reply._fields if name in data}
    return Reply(**{**said, "tokens": Tokens(**data["tokens"])})


def dollars(micro: int) -> str:
    return f"${micro / 1_000_000:,.4f}".rstrip("0").rstrip(".")
