"""What is asked of the sandbox without an interaction?"""

from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.errors import InvalidParams
from orchestrald.protocol.messages import sandbox as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Daemon, action_named


@dataclass(frozen=True, slots=True)
class Sandbox:
    engine: Engine
    daemon: Daemon

    async def sandbox_explain(self, params: m.SandboxExplain, peer: Peer) -> Answer:
        return await self.daemon.sandbox.explain(action_named(self.engine, params.action), _absolute(params.workspace))

    async def sandbox_try(self, params: m.SandboxTry, peer: Peer) -> Answer:
        action, workspace = action_named(self.engine, params.action), _absolute(params.workspace)
        return await self.daemon.sandbox.try_command(action, params.argv, workspace, params.timeout_ms / 1000)


def _absolute(workspace: str) -> str:
    if workspace and not workspace.startswith("/"):
        raise InvalidParams(f"workspace: {workspace!r} is relative, and the daemon has another current folder.")
    if "\0" in workspace:
        raise InvalidParams("workspace: no folder has a NUL in its name.")
    return workspace
