"""What waits for a person's yes, and who says it?"""

from dataclasses import dataclass

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import approvals as m
from orchestrald.protocol.messages.shape import Empty
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once, remember
from orchestrald.store.base import WaitRow


@dataclass(frozen=True, slots=True)
class Approvals:
    engine: Engine

    async def approval_list(self, params: Empty, peer: Peer) -> Answer:
        waits = await self.engine.reader.waits(kinds=["approval"])
        return {"approvals": [_shown(wait) for wait in waits]}

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


def _shown(wait: WaitRow) -> Answer:
    preview = wait.question.get("preview")
    shown = {
        "interaction_id": wait.interaction_id,
        "thread_id": wait.thread_id,
        "step_id": wait.step_id,
        "action": wait.action,
        "reason": wait.question["prompt"],
        "digest": wait.question["digest"],
        "asked_at": wait.asked_at,
        "expires_at": wait.due_at,
        **(preview if isinstance(preview, dict) else {"preview": preview}),
    }
    return {name: value for name, value in shown.items() if value is not None}
