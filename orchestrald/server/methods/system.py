"""Who is there, how is it, and what can be asked of it?"""

from dataclasses import dataclass

from orchestrald.errors import InvalidParams
from orchestrald.protocol.messages import METHODS, PROTOCOL_VERSION
from orchestrald.protocol.messages import system as m
from orchestrald.protocol.messages.shape import Empty
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Daemon


@dataclass(frozen=True, slots=True)
class System:
    daemon: Daemon

    async def system_hello(self, params: m.Hello, peer: Peer) -> Answer:
        if params.protocol and PROTOCOL_VERSION not in params.protocol:
            raise InvalidParams(f"This daemon speaks protocol {PROTOCOL_VERSION}, not {params.protocol}.")
        return await self.daemon.hello()

    async def system_ping(self, params: Empty, peer: Peer) -> Answer:
        return {}

    async def system_info(self, params: Empty, peer: Peer) -> Answer:
        return await self.daemon.info()

    async def system_schema(self, params: Empty, peer: Peer) -> Answer:
        methods = {
            name: {"says": method.says, "changes": method.changes, "params": method.params.model_json_schema()}
            for name, method in METHODS.items()
        }
        return {"protocol": PROTOCOL_VERSION, "methods": methods}

    async def system_reload(self, params: Empty, peer: Peer) -> Answer:
        return await self.daemon.reload()

    async def system_shutdown(self, params: m.Shutdown, peer: Peer) -> Answer:
        self.daemon.stop(params.drain_s)
        return {"stopping": True}
