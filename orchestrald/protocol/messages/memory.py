"""What can be asked of the working set?

`owner` is the id of an interaction or of a thread, and empty for `global`. The scope `step` is read only: there `owner`
is `interaction/step`, and the keys are those of its output.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Method, Params, RequestId

Scope = Literal["interaction", "thread", "global", "step"]
Owner = Annotated[str, Field(max_length=400)]


class MemoryList(Params):
    scope: Scope = "global"
    owner: Owner = ""


class MemoryGet(Params):
    key: Id
    scope: Scope = "global"
    owner: Owner = ""


class MemorySet(Params):
    """`value` missing means null, which is a value."""

    key: Id
    value: Any = None
    scope: Scope = "global"
    owner: Owner = ""
    request_id: RequestId | None = None


class MemoryDelete(Params):
    key: Id
    scope: Scope = "global"
    owner: Owner = ""
    request_id: RequestId | None = None


METHODS: dict[str, Method] = {
    "memory.list": Method(MemoryList, "the keys of one owner, with their sizes"),
    "memory.get": Method(MemoryGet, "one value of the working set"),
    "memory.set": Method(MemorySet, "keep a value under a key", True),
    "memory.delete": Method(MemoryDelete, "keep it no more", True),
}
