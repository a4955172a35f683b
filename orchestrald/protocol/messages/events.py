"""How does a client hear of what happens?"""

from typing import Annotated

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Method, Params


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


METHODS: dict[str, Method] = {
    "events.list": Method(EventsList, "a page of events; with wait_ms it waits for the next one"),
    "events.subscribe": Method(EventsSubscribe, "a snapshot, then every event as an events.event notification"),
    "events.unsubscribe": Method(EventsUnsubscribe, "end a subscription of this connection"),
}
