"""What waits for a person's yes, and who says it?"""

from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import approvals as m
from orchestrald.protocol.messages.shape import Empty
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once, remember


@dataclass(frozen=True, slots=True)
class Approvals:
    engine: Engine

    async def approval_list(self, params: Empty, peer: Peer) -> Answer:
        found = []
        for actor in list(self.engine.live.values()):
            for run in actor.state.waiting.values():
                question = run.question
                if question is not None and question.kind == "approval":
                    shown = question.preview if isinstance(question.preview, dict) else {"preview": question.preview}
                    found.append(
                        {
                            "interaction_id": actor.state.id,
                            "step_id": run.id,
                            "action": run.node.action,
                            "reason": question.prompt,
                            "digest": question.digest,
                            "asked_at": run.started_at,
                            **shown,
                        }
                    )
        return {"approvals": found}

    async def approval_decide(self, params: m.ApprovalDecide, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            payload = params.model_dump(include={"digest", "decision", "note"})
            answer = params.model_dump(include={"interaction_id", "step_id", "decision"})
            await self.engine.answer(
                params.interaction_id,
                params.step_id,
                payload,
                peer.by,
                channel="decide",
                remember=remember(row, lambda *_: answer),
            )
            return answer

        return await once(self.engine, params, "approval.decide", peer, serve)
