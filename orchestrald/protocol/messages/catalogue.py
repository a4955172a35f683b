"""What can be asked about actions and plugins?"""

from typing import Annotated, Any

from pydantic import Field

from orchestrald.protocol.messages.shape import Empty, Id, Method, Params, RequestId


class ActionGet(Params):
    name: Id


class ActionCall(Params):
    """A plan of one step, run to its end or to `timeout_ms`."""

    name: Id
    params: dict[str, Any] = Field(default_factory=dict)
    workspace: str = ""
    timeout_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 60_000
    request_id: RequestId | None = None


METHODS: dict[str, Method] = {
    "action.list": Method(Empty, "every action in force"),
    "action.get": Method(ActionGet, "one action with its schemas"),
    "action.call": Method(ActionCall, "run one action as an interaction of one step", True),
    "plugin.list": Method(Empty, "every plugin with its state and, when it is broken, the reason"),
    "plugin.reload": Method(Empty, "look at the plugin folders now"),
}
