"""Which actions and plugins are in force? And the shortest way to run one."""

from dataclasses import dataclass

from orchestrald.core.filling import literal
from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import catalogue as m
from orchestrald.protocol.messages.shape import Empty
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Daemon, HandedIn, action_named, shown, submit


@dataclass(frozen=True, slots=True)
class Catalogue:
    engine: Engine
    daemon: Daemon

    async def action_list(self, params: Empty, peer: Peer) -> Answer:
        keys = ("name", "description", "effects", "idempotent", "plugin", "version")
        return {"actions": [{k: getattr(s, k) for k in keys} for s in self.engine.actions.specs.values()]}

    async def action_get(self, params: m.ActionGet, peer: Peer) -> Answer:
        spec = action_named(self.engine, params.name).spec
        keys = ("name", "description", "effects", "idempotent", "plugin", "version", "input_schema", "output_schema")
        described = {key: getattr(spec, key) for key in (*keys, "approval", "timeout", "digest")}
        return {key: value for key, value in described.items() if value not in (None, "")}

    async def action_call(self, params: m.ActionCall, peer: Peer) -> Answer:
        plan = {
            "goal": params.name,
            "steps": [{"id": "call", "action": params.name, "params": literal(params.params)}],
        }
        asked = HandedIn(params.name, plan, "call", workspace=params.workspace)
        started = await submit(self.engine, params, "action.call", peer, asked)
        await self.engine.wait(started["interaction_id"], params.timeout_ms / 1000)
        found = await shown(self.engine, started["interaction_id"], outputs=True)
        step = found["steps"][0]
        answer = {"interaction_id": found["interaction_id"], "state": found["state"], "answer": found.get("answer", "")}
        return answer | {key: step[key] for key in ("output", "stored", "error", "question") if key in step}

    async def plugin_list(self, params: Empty, peer: Peer) -> Answer:
        return {"plugins": list(self.daemon.plugins())}

    async def plugin_reload(self, params: Empty, peer: Peer) -> Answer:
        return await self.daemon.rescan()
