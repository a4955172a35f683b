"""Which keys may a manifest have?

Rules of this file:

- These classes are the reference: PROTOCOL.md's table of keys is checked against them.
- What is left out is pessimistic: no `effects` means destructive, open-world, not idempotent.
- Types are strict: `idempotent: yes` is a string in YAML 1.2 and `version: 1.4` a number, and both are refused.
- Unknown keys are kept and warned about, so that a newer manifest still loads; `x-...` is for authors.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from orchestrald.core.model import Seconds

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|KB|MB|GB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_size(value: object) -> int:
    """Bytes from `4096`, `"512MiB"`, `"1.5GiB"` or `"4KB"`. Raises ValueError with the accepted forms."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a size is a number of bytes or a string such as 64KiB, 512MiB, 1GiB")
    return int(float(match[1]) * _BYTES[match[2]])


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0, le=1 << 40)]
Text = Annotated[StrictStr, Field(max_length=4_000)]
Word = Annotated[StrictStr, Field(min_length=1, max_length=4_000, pattern=r"^[^\x00]*$")]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Granted = Annotated[StrictStr, Field(pattern=r"^\$\{(workspace|scratch)\}(/[^\x00]+)?$")]
Hostport = Annotated[StrictStr, Field(pattern=r"^(\*\.)?[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")]
Count = Annotated[StrictInt, Field(ge=1, le=10_000)]


class Keys(BaseModel):
    """A mapping of a manifest."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Runtime(Keys):
    """How the program is started."""

    mode: Literal["oneshot", "persistent", "mcp"] = "oneshot"
    protocol: Literal["orchestral.external_action.v1"] = "orchestral.external_action.v1"
    command: Annotated[list[Word], Field(min_length=1, max_length=1_000)]
    env: dict[Name, StrictStr] = Field(default_factory=dict)
    env_pass: list[Name] = Field(default_factory=list)
    strict_stdout: StrictBool = False
    stop_timeout: Annotated[Seconds, Field(le=60)] = 2.0
    start_timeout: Seconds = 10.0
    idle_timeout: Seconds = 300.0
    max_concurrency: Count | None = None
    platforms: list[Literal["linux", "macos"]] = Field(default_factory=list)


class Bin(Keys):
    """A program that must be on PATH."""

    name: Annotated[StrictStr, Field(pattern=r"^[^/\x00]{1,200}$")]
    min: StrictStr | None = None
    version_args: list[StrictStr] = Field(default_factory=list)


class Requires(Keys):
    """What the machine must have."""

    bins: list[Bin] = Field(default_factory=list)


class SecretKeys(Keys):
    """A secret that the operator gives."""

    name: Name
    deliver: Literal["file", "env", "fd"] = "file"
    required: StrictBool = True


class Fs(Keys):
    """Folders that the program may see."""

    read: list[Granted] = Field(default_factory=lambda: ["${workspace}"])
    write: list[Granted] = Field(default_factory=lambda: ["${scratch}"])


class Net(Keys):
    """What the program may connect to."""

    mode: Literal["none", "allow", "full"] = "none"
    allow: list[Hostport] = Field(default_factory=list)


class SandboxKeys(Keys):
    """What the program asks for; the operator grants."""

    fs: Fs = Fs()
    net: Net = Net()


class LimitKeys(Keys):
    """What one attempt may use."""

    timeout: Seconds = 60.0
    memory: Annotated[Size, Field(ge=4 << 20)] = 1 << 30
    cpus: Annotated[float, Field(gt=0, le=1024, strict=True)] | None = None
    pids: Annotated[StrictInt, Field(ge=1, le=10_000)] = 128
    stdout: Annotated[Size, Field(le=64 << 20)] = 4 << 20
    stderr: Annotated[Size, Field(le=64 << 20)] = 1 << 20


class RetryKeys(Keys):
    """When a failed attempt is repeated."""

    max: Annotated[StrictInt, Field(ge=0, le=100)] = 3
    backoff: Seconds = 0.2
    multiplier: Annotated[float, Field(ge=1, le=100)] = 2.0
    max_backoff: Seconds = 5.0
    on: tuple[Literal["retryable_error", "timeout"], ...] = ("retryable_error", "timeout")


class Example(Keys):
    """One call, for people and for `plugin test`."""

    input: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] | None = None


class ActionKeys(Keys):
    """One capability."""

    name: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    description: Text = ""
    input_schema: dict[str, Any] = Field(
        default_factory=dict, validation_alias=AliasChoices("input_schema", "params_schema")
    )
    output_schema: dict[str, Any] = Field(default_factory=dict)
    effects: Literal["read", "write", "destructive"] = "destructive"
    open_world: StrictBool = True
    idempotent: StrictBool = False
    dry_run: StrictBool = False
    approval: Literal["auto", "always", "never"] = "auto"
    timeout: Seconds | None = None
    max_concurrency: Count | None = None
    entrypoint: StrictStr | None = None
    retry: RetryKeys = RetryKeys()
    examples: list[Example] = Field(default_factory=list)


class Manifest(Keys):
    """A plugin: what it is, how it is started, what it asks for, and what it can do."""

    manifest: Literal[1]
    name: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    version: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    description: Text = ""
    runtime: Runtime
    requires: Requires = Requires()
    secrets: list[SecretKeys] = Field(default_factory=list)
    sandbox: SandboxKeys = SandboxKeys()
    limits: LimitKeys = LimitKeys()
    mcp: dict[str, Any] = Field(default_factory=dict)
    actions: Annotated[list[ActionKeys], Field(max_length=1_000)] = Field(default_factory=list)
