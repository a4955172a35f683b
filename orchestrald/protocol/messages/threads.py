"""What can be asked about threads, and of them?"""

from typing import Annotated, Any

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Method, Name, Page, Params, RequestId

MAX_METADATA = 16 * 1024
"""Bytes of JSON. Each change is an event, and a list shows all of it."""

Metadata = Annotated[dict[Name, Any], Field(max_length=100)]


class ThreadCreate(Params):
    """`policy` missing means the configured one, whatever that will be."""

    title: Annotated[str, Field(max_length=1000)] = ""
    metadata: Metadata = Field(default_factory=dict)
    policy: Name | None = None
    request_id: RequestId | None = None


class ThreadGet(Params):
    thread_id: Id


class ThreadList(Page):
    """`archived` shows those too."""

    archived: bool = False


class ThreadUpdate(Params):
    """`metadata` is merged into what there is: null removes a key. What is missing stays."""

    thread_id: Id
    title: Annotated[str, Field(max_length=1000)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    request_id: RequestId | None = None


class ThreadSetPolicy(Params):
    """Of the inputs that come from now on. `policy` null or missing means the configured one."""

    thread_id: Id
    policy: Name | None = None
    request_id: RequestId | None = None


class ThreadArchive(Params):
    """An archived thread takes no inputs, and is not listed. `archived` false brings it back."""

    thread_id: Id
    archived: bool = True
    request_id: RequestId | None = None


class ThreadDialogue(Params):
    """`limit` counts messages: what was asked, answered and came from outside, and nothing else."""

    thread_id: Id
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


METHODS: dict[str, Method] = {
    "thread.create": Method(ThreadCreate, "make a thread", True),
    "thread.get": Method(ThreadGet, "one thread, with what is unfinished in it"),
    "thread.dialogue": Method(ThreadDialogue, "the newest messages of a thread, oldest first"),
    "thread.list": Method(ThreadList, "the newest threads"),
    "thread.update": Method(ThreadUpdate, "change the title or the metadata of a thread", True),
    "thread.set_policy": Method(ThreadSetPolicy, "what a new input does while something is active in the thread", True),
    "thread.archive": Method(ThreadArchive, "put a thread away in which nothing is unfinished, or bring it back", True),
}
