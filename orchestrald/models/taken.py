"""What may the requests have taken that came to nothing?

A request that was sent may be paid although it failed: after a timeout, a broken connection, a stream that was cut off.
What it may have taken travels in the error that says so, as `data["spent"]`: `{"tokens": n, "cost": micro-dollars}`,
without `cost` where no price is known, and missing where nothing was taken. It is an estimate: the question, and what
was heard of the answer. What was written and never sent cannot be known.
"""

from typing import NamedTuple

from orchestrald.errors import OrchestralError
from orchestrald.models.base import MOST_COUNTED, Reply, Tokens


class Taken(NamedTuple):
    tokens: int = 0
    cost: int | None = None

    def plus(self, more: "Taken") -> "Taken":
        costs = [cost for cost in (self.cost, more.cost) if cost is not None]
        tokens = min(self.tokens + more.tokens, MOST_COUNTED)
        return Taken(tokens, min(sum(costs), MOST_COUNTED) if costs else None)

    def on(self, reply: Reply) -> Reply:
        """The reply, with this on its bill."""
        cost = Taken(0, reply.cost).plus(self).cost
        return reply._replace(tokens=reply.tokens + Tokens(self.tokens), cost=cost)


def taken(error: OrchestralError) -> Taken:
    return Taken(**error.data.get("spent", {}))


def tell(error: OrchestralError, all_: Taken) -> None:
    """Let the error say that so much may have been taken, whatever it said before."""
    error.data.pop("spent", None)
    if all_.tokens or all_.cost:
        spent = all_._asdict()
        error.data["spent"] = {name: value for name, value in spent.items() if value is not None}
