"""What would a plan do? Nothing here runs anything."""

from dataclasses import dataclass

from orchestrald.core.graph import Graph
from orchestrald.core.preview import foresee
from orchestrald.engine import snapshot
from orchestrald.engine.engine import Engine
from orchestrald.errors import PlanError
from orchestrald.planner.base import Done
from orchestrald.protocol import drawing
from orchestrald.protocol.messages import plans as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer


@dataclass(frozen=True, slots=True)
class Plans:
    engine: Engine

    async def plan_create(self, params: m.PlanCreate, peer: Peer) -> Answer:
        asked = (params.intent, params.workspace, params.thread_id or "")
        proposal, spent = await self.engine.planning.preview(*asked)
        cost: Answer = {"spent": spent._asdict()} if spent.calls else {}
        if isinstance(proposal, Done):
            return {"planner": proposal.planner, "answer": proposal.text, "achieved": proposal.achieved, **cost}
        if proposal.rounds and proposal.plan.get("on_complete") is None:
            cost["rounds"] = proposal.rounds - 1  # each about as dear as this one was
        graph = await self.engine.planning.accept(proposal.plan)
        return {**self._foreseen(graph, params.workspace), "planner": proposal.planner, **cost}

    async def plan_validate(self, params: m.PlanValidate, peer: Peer) -> Answer:
        try:
            graph = await self.engine.planning.accept(params.plan)
        except PlanError as error:
            return {"valid": False, "problems": error.data["problems"]}
        return {"valid": True, "problems": [], **self._foreseen(graph, params.workspace)}

    async def plan_graph(self, params: m.PlanGraph, peer: Peer) -> Answer:
        graph = snapshot.plan_graph((await self.engine.planning.accept(params.plan)).nodes)
        return {"format": params.format, "graph": drawing.draw(graph, params.format)}

    def _foreseen(self, graph: Graph, workspace: str) -> Answer:
        return {
            "plan": graph.to_json()["plan"],
            "hash": graph.digest(workspace),
            "graph": snapshot.plan_graph(graph.nodes),
            "actions": [each._asdict() for each in foresee(graph, self.engine.gate())],
        }
