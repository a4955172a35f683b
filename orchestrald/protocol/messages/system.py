"""Who is there, and what can be asked of the daemon itself?"""

from typing import Annotated

from pydantic import Field

from orchestrald.protocol.messages.shape import Empty, Method, Params

PROTOCOL_VERSION = 1


class Hello(Params):
    client: str = ""
    protocol: list[int] = Field(default=[PROTOCOL_VERSION])


class Shutdown(Params):
    drain_s: Annotated[float, Field(ge=0, le=3600)] | None = None


METHODS: dict[str, Method] = {
    "system.hello": Method(Hello, "who is there: versions, features, db_epoch, limits"),
    "system.ping": Method(Empty, "an empty answer"),
    "system.info": Method(Empty, "state, counts, sandbox, store and uptime of the daemon"),
    "system.schema": Method(Empty, "every method with the JSON Schema of its parameters"),
    "system.reload": Method(Empty, "read configuration, playbooks and plugins again"),
    "system.shutdown": Method(Shutdown, "stop: take no new work, give running steps drain_s, then stop them"),
}
