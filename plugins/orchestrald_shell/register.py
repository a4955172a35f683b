"""Under which name and schema is `shell` offered?

The schema is closed: `approved`, `sandbox_backend` and a `sandbox_mode` of none, with which the original let a plan
approve itself and switch the sandbox off, do not exist.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from orchestrald.hookspecs import Action, hookimpl, read_settings
from orchestrald_shell.run import confinement, shell
from orchestrald_shell.settings import MOST_CHARACTERS, Settings

_INPUT = {
    "type": "object",
    "properties": {
        "command": {
            "type": "string",
            "minLength": 1,
            "maxLength": MOST_CHARACTERS,
            "description": "A program, or a shell expression.",
        },
        "args": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 1000,
            "description": "Taken literally, never as shell syntax.",
        },
        "shell": {"type": "boolean", "description": "Let sh read the command; args become $1 and so on."},
        "sandbox_mode": {"enum": ["read_only", "workspace_write"], "description": "Only to be stricter."},
        "fail_on_non_zero": {"type": "boolean", "description": "False: a failing command is a result like any other."},
    },
    "required": ["command"],
    "additionalProperties": False,
}
_OUTPUT = {
    "type": "object",
    "properties": {
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "status": {"type": "integer"},
        "timed_out": {"type": "boolean"},
        "stdout_truncated": {"type": "boolean"},
        "stderr_truncated": {"type": "boolean"},
        "sandbox_mode": {"type": "string"},
        "sandboxed": {"type": "boolean"},
        "sandbox_backend": {"type": "string"},
        "env_policy": {"type": "string"},
    },
    "required": [
        "stdout", "stderr", "status", "timed_out", "stdout_truncated", "stderr_truncated", "sandbox_mode", "sandboxed",
        "sandbox_backend", "env_policy",
    ],
}  # fmt: skip


@hookimpl
def register_actions(register: Callable[[Action], None], settings: Mapping[str, Any]) -> None:
    chosen = read_settings(Settings, settings)
    register(
        Action(
            name="shell",
            run=partial(shell, chosen),
            description="Run a program or a shell expression in the workspace, sandboxed.",
            input_schema=_INPUT,
            output_schema=_OUTPUT,
            effects="destructive",
            open_world=bool(chosen.sandbox_allow_network) or chosen.sandbox_mode == "none",
            confinement=partial(confinement, chosen),
        )
    )
