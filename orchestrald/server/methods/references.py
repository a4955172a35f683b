"""What is in the reference store?"""

import base64
from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import references as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer


@dataclass(frozen=True, slots=True)
class References:
    engine: Engine

    async def reference_get(self, params: m.ReferenceGet, peer: Peer) -> Answer:
        content = await self.engine.references.get(params.digest)
        answer: Answer = {"digest": params.digest, "size": len(content)}
        try:
            return answer | {"text": content.decode("utf-8")}
        except UnicodeDecodeError:
            return answer | {"base64": base64.b64encode(content).decode("ascii")}
