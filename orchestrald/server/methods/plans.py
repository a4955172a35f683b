"""What would a plan do? Nothing here runs anything."""

from dataclasses import dataclass

from orchestrald.engine import snapshot
from orchestrald.engine.engine import Engine
from orchestrald.errors import PlanError
from orchestrald.planner.base import Request
from orchestrald.protocol import drawing
from orchestrald.protocol.messages import plans as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer


@dataclass(frozen=True, slots=True)
class Plans:
    engine: Engine

    async def plan_create(self, params: m.PlanCreate, peer: Peer) -> Answer:
        proposal = await self.engine.planning.planner.propose(Request(params.intent, params.workspace))
        graph = await self.engine.planning.accept(proposal.plan)
        return {
            "plan": graph.to_json()["plan"],
            "planner": proposal.planner,
            "graph": snapshot.plan_graph(graph.nodes),
        }

    async def plan_validate(self, params: m.PlanValidate, peer: Peer) -> Answer:
        try:
            graph = await self.engine.planning.accept(params.plan)
        except PlanError as error:
            return {"valid": False, "problems": error.data["problems"]}
        return {"valid": True, "problems": [], "plan": graph.to_json()["plan"]}

    async def plan_graph(self, params: m.PlanGraph, peer: Peer) -> Answer:
        graph = snapshot.plan_graph((await self.engine.planning.accept(params.plan)).nodes)
        return {"format": params.format, "graph": drawing.draw(graph, params.format)}
