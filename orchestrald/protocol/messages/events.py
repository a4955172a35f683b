"""How does a client hear of what happens?"""

from typing import Annotated, Any

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Method, Params, RequestId


class EventsList(Params):
    after_seq: Annotated[int, Field(ge=0)] = 0
    interaction_id: Id | None = None
    types: list[str] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    wait_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class EventsSubscribe(Params):
    """`after_seq` missing means from now on."""

    after_seq: Annotated[int, Field(ge=0)] | None = None
    interaction_id: Id | None = None
    types: list[str] | None = None


class EventsUnsubscribe(Params):
    subscription: Id


class EventEmit(Params):
    """Something happened outside. `thread_id` missing: any thread may be waiting for it."""

    kind: Annotated[str, Field(min_length=1, max_length=200)]
    payload: Any = None
    correlation: Annotated[str, Field(max_length=1000)] | None = None
    thread_id: Id | None = None
    request_id: RequestId | None = None


METHODS: dict[str, Method] = {
    "event.emit": Method(EventEmit, "give an external event to the step that waits for it, now or later", True),
    "events.list": Method(EventsList, "a page of events; with wait_ms it waits for the next one"),
    "events.subscribe": Method(EventsSubscribe, "a snapshot, then every event as an events.event notification"),
    "events.unsubscribe": Method(EventsUnsubscribe, "end a subscription of this connection"),
}
