"""What can be asked of the reference store?"""

from typing import Annotated, Any

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Method, Params, RequestId

MAX_CONTENT = 3 * 1024 * 1024
"""Bytes that `reference.put` takes: in base64 they still fit into one request."""

Type = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]


class ReferencePut(Params):
    """Exactly one of `text` and `base64`. `until` (microseconds) is when it may go, `keep` that it never does; neither:
    as the configuration says. `type` left out follows from `media_type`."""

    text: str | None = None
    base64: str | None = None
    type: Type | None = None
    media_type: Annotated[str, Field(max_length=200)] = ""
    name: Annotated[str, Field(max_length=255)] = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    thread_id: Id | None = None
    keep: bool = False
    until: Annotated[int, Field(gt=0, le=2**62)] | None = None
    request_id: RequestId | None = None


class ReferenceList(Params):
    type: Type | None = None
    thread_id: Id | None = None
    cursor: Annotated[int, Field(ge=1)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class ReferenceGet(Params):
    digest: Id


class ReferenceDelete(Params):
    digest: Id
    request_id: RequestId | None = None


METHODS: dict[str, Method] = {
    "reference.put": Method(ReferencePut, "store content of at most 3 MiB", True),
    "reference.list": Method(ReferenceList, "what was stored, newest first"),
    "reference.get": Method(ReferenceGet, "stored content as text or base64, and what is known of it"),
    "reference.delete": Method(ReferenceDelete, "forget stored content, unless something unfinished needs it", True),
}
