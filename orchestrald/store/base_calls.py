"""What is known of the calls of models, and where it is asked: what was spent, by whom, on what?

A projection of `model.*` events, one row a call, written in the event's own transaction.
"""

from typing import Literal, NamedTuple, Protocol

By = Literal["day", "interaction", "model"]


class Spent(NamedTuple):
    """A call that nobody has heard of again counts with the most that it may have taken. `cost` in micro-dollars."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0


class UsageRow(NamedTuple):
    """`key` is a UTC date, an interaction's id (empty: of none) or a model.

    `lost` calls were asked and have neither an answer nor an error; their tokens are not in `input`, `cached` and
    `output`, but in `reserved`. `unpriced` calls have no known cost, and add none to `cost` (micro-dollars).
    """

    key: str
    calls: int
    failed: int
    lost: int
    input: int
    cached: int
    output: int
    reserved: int
    cost: int
    unpriced: int
    ms: int


class Calls(Protocol):
    async def spent(self, *, interaction_id: str = "", since: int = 0) -> Spent:
        """Of one interaction, or of all that began after `since` (UTC microseconds)."""
        ...

    async def usage(self, by: By, *, since: int = 0, until: int | None = None, limit: int = 100) -> list[UsageRow]:
        """The newest first where `by` is day or interaction, the dearest first where it is model."""
        ...
