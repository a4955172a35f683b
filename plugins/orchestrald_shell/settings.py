"""What may the operator set for `shell`? The original's keys, with defaults that are safe."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_OUTPUT = 1024 * 1024
MOST_CHARACTERS = 16_000
"""Of a command: what a person is asked to approve is shown whole or refused."""

# The original took an unknown word for `none`, so that a typing error switched the sandbox off. Here it is refused.
_MODES = {
    "off": "none",
    "readonly": "read_only",
    "ro": "read_only",
    "workspace": "workspace_write",
    "ws": "workspace_write",
}
_BACKENDS = {
    "linux_seccomp": "bubblewrap",
    "seccomp": "bubblewrap",
    "linux": "bubblewrap",
    "macos_seatbelt": "seatbelt",
    "macos": "seatbelt",
}


def _spelled(words: dict[str, str]) -> BeforeValidator:
    return BeforeValidator(lambda word: words.get(word, word) if isinstance(word, str) else word)


def _clamped(value: object) -> object:
    return min(max(value, 1), MOST_OUTPUT) if isinstance(value, int) and not isinstance(value, bool) else value


Mode = Literal["none", "read_only", "workspace_write"]


class Settings(BaseModel):
    """`working_dir` missing: the workspace, else a folder of the attempt's own; relative ones are taken from the
    workspace. `timeout_ms` missing: only the step's. Empty `allowed_commands`: no allow-list. `max_output_bytes` is
    for each of stdout and stderr, 1 to 1 MiB; what is more is dropped. A `sandbox_` setting that is missing is as the
    operator's sections `plugins.grants` and `sandbox` say."""

    model_config = ConfigDict(extra="forbid")

    working_dir: str | None = None
    timeout_ms: int | None = Field(None, ge=1)
    allow_shell_expression: bool = False
    allowed_commands: tuple[str, ...] = ()
    blocked_commands: tuple[str, ...] = ()
    max_output_bytes: Annotated[int, BeforeValidator(_clamped)] = 65_536
    sandbox_mode: Annotated[Mode | None, _spelled(_MODES)] = None
    sandbox_backend: Annotated[Literal["auto", "bubblewrap", "seatbelt"] | None, _spelled(_BACKENDS)] = None
    sandbox_allow_network: bool | None = None
    sandbox_writable_roots: tuple[str, ...] = ()
    sandbox_linux_bwrap_path: str | None = None
    env_policy: Annotated[Literal["inherit", "minimal", "allowlist"], _spelled({"whitelist": "allowlist"})] = "minimal"
    env_allowlist: tuple[str, ...] = ()
    env_denylist: tuple[str, ...] = ()
    fail_on_non_zero: bool = True
