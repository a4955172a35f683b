"""What was spent on models, and what may still be."""

from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import usage as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer


@dataclass(frozen=True, slots=True)
class Usage:
    engine: Engine

    async def usage_get(self, params: m.UsageGet, peer: Peer) -> Answer:
        rows = await self.engine.reader.calls.usage(
            params.by, since=params.since, until=params.until, limit=params.limit
        )
        return {
            "by": params.by,
            "usage": [row._asdict() for row in rows],
            "last_day": (await self.engine.model_calls.spent_in_a_day())._asdict(),
            "budgets": {name: limits._asdict() for name, limits in self.engine.model_calls.budgets._asdict().items()},
        }
