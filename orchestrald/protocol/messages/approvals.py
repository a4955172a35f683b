"""What can be asked about approvals?"""

from typing import Literal

from orchestrald.protocol.messages.shape import Empty, Id, Method, Params, RequestId


class ApprovalDecide(Params):
    interaction_id: Id
    step_id: Id
    digest: Id
    decision: Literal["approve", "deny"]
    note: str = ""
    request_id: RequestId | None = None


METHODS: dict[str, Method] = {
    "approval.list": Method(Empty, "every approval that waits for a decision"),
    "approval.decide": Method(ApprovalDecide, "approve or deny one exact step", True),
}
