"""What can be asked about what models took?"""

from typing import Annotated, Literal

from pydantic import Field

from orchestrald.protocol.messages.shape import Method, Params


class UsageGet(Params):
    """`since` and `until` are UTC microseconds; missing: from the beginning, up to now."""

    by: Literal["day", "interaction", "model"] = "day"
    since: int = 0
    until: int | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


METHODS: dict[str, Method] = {
    "usage.get": Method(UsageGet, "what models took: calls, tokens and money, by day, interaction or model"),
}
