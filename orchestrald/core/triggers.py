"""What can start a schedule, and is it said well enough to be kept?

A trigger is an object with exactly one of the keys `every`, `cron`, `at` and `folder`, and the options of that one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from orchestrald.core.model import Seconds, parse_duration
from orchestrald.errors import InvalidParams

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Misfire = Literal["once", "skip", "all"]
"""What becomes of moments that passed while nobody looked: one firing for all of them, none, or one for each."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Every(_Shape):
    """Every so many seconds, counted from `anchor` (UTC microseconds): so no firing moves the next one."""

    every: Annotated[float, BeforeValidator(parse_duration), Field(ge=1, le=366 * 86400)]
    anchor: int = Field(0, ge=0, le=10**17)

    @property
    def period(self) -> int:
        return round(self.every * 1_000_000)


class Cron(_Shape):
    """Five fields, read as Debian's cron reads them, in a time zone."""

    cron: str = Field(max_length=200)
    tz: str = "UTC"

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value.split()) != 5:
            raise ValueError("write five fields: minute, hour, day of month, month, day of week, such as 0 9 * * 1-5")
        try:
            never = next(CronSim(value, EPOCH), None) is None
        except CronSimError as error:
            raise ValueError(f"{error} in {value!r}") from None
        if never:
            raise ValueError(f"there is no such day as {value!r} says")
        return " ".join(value.split())

    @field_validator("tz")
    @classmethod
    def _known(cls, value: str) -> str:
        zone(value)
        return value


class At(_Shape):
    """One moment."""

    at: str = Field(max_length=64)

    @field_validator("at")
    @classmethod
    def _with_a_zone(cls, value: str) -> str:
        try:
            found = datetime.fromisoformat(value)
            if found.tzinfo is not None:
                return found.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (ValueError, OverflowError):
            raise ValueError("write a moment such as 2026-12-01T09:00:00Z") from None
        raise ValueError("say in which time zone: end it with Z or an offset such as +01:00")

    @property
    def moment(self) -> int:
        return microseconds(datetime.fromisoformat(self.at))


class Folder(_Shape):
    """Every version of every file in a folder, once it has not changed for `settle` seconds.

    `glob` fits the file's name; names that begin with a dot are looked at only if it does too. `depth` is how many
    folders down. Files that are there when the schedule is made count only if `existing`.
    """

    folder: str = Field(min_length=1, max_length=4096, pattern=r"^/[^\x00]*$")
    glob: str = Field("*", min_length=1, max_length=200, pattern=r"^[^/\x00]+$")
    settle: Seconds = 2.0
    depth: int = Field(0, ge=0, le=8)
    existing: bool = False


Moments = Every | Cron | At
Trigger = Moments | Folder

_KINDS: dict[str, type[Every] | type[Cron] | type[At] | type[Folder]] = {
    "every": Every,
    "cron": Cron,
    "at": At,
    "folder": Folder,
}


def read(raw: Mapping[str, Any], now: int) -> Trigger:
    """A trigger from what somebody sent; one without an `anchor` counts from `now`. Raises InvalidParams."""
    named = [key for key in _KINDS if key in raw]
    if len(named) != 1:
        raise InvalidParams(
            f"trigger: it has {' and '.join(named) or 'none'} of every, cron, at and folder.",
            hint='Give exactly one, such as {"every": "10m"} or {"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"}.',
        )
    made = kept(raw)
    if isinstance(made, Every) and "anchor" not in raw:
        return made.model_copy(update={"anchor": now})
    if isinstance(made, At) and made.moment <= now:
        raise InvalidParams(f"trigger.at: {made.at} has passed.")
    return made


def kept(raw: Mapping[str, Any]) -> Trigger:
    """A trigger as it was stored. Raises InvalidParams when it is none any more, as without its time zone."""
    kind = next(key for key in _KINDS if key in raw)
    try:
        return _KINDS[kind].model_validate(raw)
    except ValidationError as error:
        faults = [
            f"trigger.{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_url=False, include_input=False)
        ]
        takes = ", ".join(_KINDS[kind].model_fields)
        raise InvalidParams(f"{'; '.join(faults)}.", hint=f"A trigger `{kind}` takes {takes}.") from None


def zone(name: str) -> ZoneInfo:
    """Raises ValueError, with what to write instead. (Its rules are a table on the disk: the one thing read here.)"""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r} here; write one such as UTC or Europe/Berlin") from None


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
