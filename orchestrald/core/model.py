"""What is a plan, and what are the values that a step leaves behind?

`Plan` and `Step` are the shape in which plans travel and are stored: untrusted until `normalize` has seen them.
`Failure`, `Question` and `Stored` are the three things besides a plain output that a step can end in or hold.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

STEP_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Step ids stay clear of dots, braces and brackets, which are the reference syntax."""

RESERVED_IDS = frozenset({"item", "index", "params", "error", "intent", "memory"})
"""Names that references give another meaning, so no step may take them."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNIT = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> float:
    """Seconds from `2`, `1.5`, `"500ms"`, `"60s"`, `"5m"`, `"1h"`, `"2d"`. ValueError names the forms."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a number of seconds or a string such as 500ms, 60s, 5m, 1h, 2d")
    return float(match[1]) * _UNIT[match[2]]


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=30 * 86400)]

StepKind = Literal["action", "wait_user", "wait_event", "wait_until"]


class Retry(BaseModel):
    """How often a step is tried again, and how long between: full jitter over an exponential ceiling."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max: int = Field(3, ge=0, le=100)
    backoff: Seconds = 0.2
    multiplier: float = Field(2.0, ge=1, le=100)
    max_backoff: Seconds = 5.0


class IoBinding(BaseModel):
    """The original's spelling of a reference: put `from` (`step.key`) into the parameter `to`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: str = Field(alias="from")
    to: str
    required: bool = True


class StepSandbox(BaseModel):
    """How much less than its action is granted a step wants. Whatever it says, it can only narrow.

    `memory` in bytes, no less than a sandbox needs by itself. Missing: what is granted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["read_only", "workspace_write"] | None = None
    network: Literal["off", "proxy", "host"] | None = None
    memory: int | None = Field(None, ge=4 << 20, le=1 << 50)
    processes: int | None = Field(None, gt=0, le=1_000_000)


class Step(BaseModel):
    """One node of a plan: an action with parameters, or a wait. Empty `exports` promises nothing in particular.

    `remember` keeps parts of its output beyond the plan, by `scope.key` (see `working_set`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: StepKind = "action"
    action: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    io_bindings: tuple[IoBinding, ...] = ()
    when: Any = None
    for_each: Any = None
    exports: tuple[str, ...] = ()
    remember: dict[str, str] = Field(default_factory=dict)
    timeout: Seconds | None = None
    retry: Retry | None = None
    idempotent: bool | None = None
    sandbox: StepSandbox | None = None


class Plan(BaseModel):
    """What a planner proposes: a goal and a DAG of steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: str = ""
    steps: tuple[Step, ...]
    on_complete: str | None = None
    on_failure: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """What the core knows of an action: enough to check a plan and to decide about retries, nothing of how it runs.

    `input_schema` and `output_schema` empty mean anything is accepted. `effects` missing from a manifest has
    already become `destructive` and `idempotent` false by the time a spec exists: we are pessimistic, as MCP is.
    """

    name: str
    description: str = ""
    input_schema: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] = field(default_factory=dict)
    effects: Literal["read", "write", "destructive"] = "destructive"
    open_world: bool = True
    idempotent: bool = False
    approval: Literal["auto", "always", "never"] = "auto"
    retry: Retry = Retry()
    timeout: float | None = None
    max_concurrency: int | None = None
    plugin: str = ""
    version: str = ""
    digest: str = ""


class Failure(NamedTuple):
    """Why a step did not succeed. `retryable` is the reporter's word; the step's retry budget has the last one."""

    code: str
    message: str
    retryable: bool = False
    retry_after_ms: int | None = None
    details: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            data["details"] = self.details
        return data


class Question(NamedTuple):
    """What a waiting step waits for.

    `kind` says who may answer and how: `input` (a wait_user step), `clarification` (a plugin asked), `approval`
    (only `approval.decide`), `interrupted` (the daemon died while the step ran; retry, skip or fail),
    `event` (an external event), `until` (a moment). `schema` empty accepts any answer. `state` is the plugin's own
    opaque string, echoed byte for byte. `digest` binds an approval to the exact action and parameters.
    `due_at` (UTC microseconds) is when the wait ends by itself; missing means it never does.
    """

    kind: Literal["input", "clarification", "approval", "interrupted", "event", "until"]
    prompt: str
    schema: dict[str, Any] | None = None
    state: str | None = None
    digest: str | None = None
    preview: Any = None
    event_kind: str | None = None
    correlation: str | None = None
    due_at: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in self._asdict().items() if v is not None}


class Stored(NamedTuple):
    """An output that lives in the reference store: its digest, its size in bytes, and the value while it is loaded."""

    digest: str
    size: int
    value: Any = None

    def to_json(self) -> dict[str, Any]:
        return {"digest": self.digest, "size": self.size}
