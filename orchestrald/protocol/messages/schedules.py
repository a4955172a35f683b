"""What can be asked of schedules?"""

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrald.protocol.messages.shape import Empty, Id, Labels, Method, Params, RequestId


class ScheduleCreate(Params):
    """Exactly one of `intent` and `plan`. `trigger` has exactly one of `every`, `cron`, `at` and `folder`.

    `misfire` missing means `once`, and `all` for a folder. Without a `thread_id` every firing gets a thread of its own.
    """

    trigger: dict[str, Any]
    name: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]{0,62})?$")] = ""
    intent: str = ""
    plan: Any = None
    thread_id: Id | None = None
    workspace: str = ""
    labels: Labels = Field(default_factory=dict)
    misfire: Literal["once", "skip", "all"] | None = None
    request_id: RequestId | None = None


class ScheduleGet(Params):
    """`schedule` is an id or a name."""

    schedule: Id


class ScheduleChange(Params):
    schedule: Id
    request_id: RequestId | None = None


class ScheduleRun(Params):
    """`path` is the file to fire for: needed where the trigger is a folder, and refused elsewhere."""

    schedule: Id
    path: Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")] = ""
    request_id: RequestId | None = None


METHODS: dict[str, Method] = {
    "schedule.create": Method(ScheduleCreate, "start interactions at moments, or for files", True),
    "schedule.list": Method(Empty, "every schedule, oldest first"),
    "schedule.get": Method(ScheduleGet, "one schedule with its plan"),
    "schedule.pause": Method(ScheduleChange, "let it start nothing until it is resumed", True),
    "schedule.resume": Method(ScheduleChange, "go on from now; what went by is not made up for", True),
    "schedule.delete": Method(ScheduleChange, "remove it; what it has started goes on", True),
    "schedule.run": Method(ScheduleRun, "fire now, whatever its state, and leave its next moment alone", True),
}
