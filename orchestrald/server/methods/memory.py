"""What is kept in the working set?"""

from dataclasses import dataclass
from typing import Any

from orchestrald.engine.engine import Engine
from orchestrald.engine.memory import output_of_step
from orchestrald.errors import InvalidParams
from orchestrald.protocol.messages import memory as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once


@dataclass(frozen=True, slots=True)
class Memory:
    engine: Engine

    async def memory_list(self, params: m.MemoryList, peer: Peer) -> Answer:
        answer: Answer = {"scope": params.scope, "owner": params.owner}
        if params.scope == "step":
            output = await self._output(params.owner, None)
            return answer | {"keys": [{"key": key} for key in output] if isinstance(output, dict) else []}
        keys = await self.engine.working_set.keys(params.scope, params.owner)
        return answer | {"keys": [row._asdict() for row in keys]}

    async def memory_get(self, params: m.MemoryGet, peer: Peer) -> Answer:
        if params.scope == "step":
            value = await self._output(params.owner, params.key)
            return {"scope": params.scope, "owner": params.owner, "key": params.key, "value": value}
        return (await self.engine.working_set.get(params.scope, params.owner, params.key))._asdict()

    async def memory_set(self, params: m.MemorySet, peer: Peer) -> Answer:
        _written(params.scope)

        async def serve(row: Row) -> Answer:
            about = (params.scope, params.owner, params.key)
            return await self.engine.working_set.set(*about, params.value, peer.by, row)

        return await once(self.engine, params, "memory.set", peer, serve)

    async def memory_delete(self, params: m.MemoryDelete, peer: Peer) -> Answer:
        _written(params.scope)

        async def serve(row: Row) -> Answer:
            return await self.engine.working_set.delete(params.scope, params.owner, params.key, peer.by, row)

        return await once(self.engine, params, "memory.delete", peer, serve)

    async def _output(self, owner: str, key: str | None) -> Any:
        interaction_id, slash, step_id = owner.partition("/")
        if not slash:
            raise InvalidParams("owner: a step is named interaction/step.")
        return await self.engine.view(interaction_id, lambda state, _: output_of_step(state, step_id, key))


def _written(scope: str) -> None:
    if scope == "step":
        raise InvalidParams("scope: a step's outputs are what its action returned; nobody else writes them.")
