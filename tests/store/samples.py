"""Rows that the store's tests share."""

from typing import Any

from orchestrald.core.events import Event
from orchestrald.store.base import Batch, InteractionRow, RequestRow, ThreadRow


def event(n: int = 0, **rest: Any) -> Event:
    return Event(**{"type": "step.succeeded", "data": {"n": n}, "thread_id": "t1", "interaction_id": "i1", **rest})


def batch(n: int = 0, **rest: Any) -> Batch:
    return Batch([event(n, **rest)])


def interaction(interaction_id: str = "i1", **rest: Any) -> InteractionRow:
    row = InteractionRow(
        interaction_id=interaction_id,
        thread_id="t1",
        state="executing",
        intent="survey the house",
        source="cli",
        by="uid:1000",
        workspace="/w",
        created_at=10,
        updated_at=11,
        ended_at=None,
        answer=None,
        waiting=(),
        steps=3,
        finished=1,
    )
    return row._replace(**rest)


def thread(thread_id: str = "t1", created_at: int = 5) -> ThreadRow:
    return ThreadRow(thread_id, f"about {thread_id}", created_at)


def request(request_id: str = "r1", **rest: Any) -> RequestRow:
    row = RequestRow("uid:1000", "interaction.submit", request_id, "hash", {"interaction_id": "i1"}, 12)
    return row._replace(**rest)
