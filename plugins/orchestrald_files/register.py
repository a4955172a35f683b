"""Under which names and schemas are the file actions offered?"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from orchestrald.hookspecs import Action, hookimpl, read_settings
from orchestrald_files.read import file_read
from orchestrald_files.settings import MOST, Settings
from orchestrald_files.write import file_write

_PATH = {"type": "string", "minLength": 1, "description": "Within the workspace, or absolute beneath a root."}
_MAX_BYTES = {"type": "integer", "minimum": 1, "maximum": MOST}

_READ_INPUT = {
    "type": "object",
    "properties": {
        "path": _PATH,
        "max_bytes": {**_MAX_BYTES, "description": "Never more than the operator's limit."},
        "truncate": {"type": "boolean", "default": False, "description": "Cut a longer file instead of failing."},
    },
    "required": ["path"],
    "additionalProperties": False,
}
_READ_OUTPUT = {
    "type": "object",
    "properties": {
        "content": {"type": "string"},
        "path": {"type": "string"},
        "bytes": {"type": "integer"},
        "truncated": {"type": "boolean"},
    },
    "required": ["content", "path", "bytes", "truncated"],
}
_WRITE_INPUT = {
    "type": "object",
    "properties": {
        "path": _PATH,
        "content": {"type": "string"},
        "append": {"type": "boolean", "description": "Add to the end instead of replacing the file."},
        "max_bytes": {**_MAX_BYTES, "description": "Never more than the operator's limit."},
        "allow_empty": {"type": "boolean", "default": False, "description": "Empty content is meant."},
    },
    "required": ["path", "content"],
    "additionalProperties": False,
}
_WRITE_OUTPUT = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "bytes": {"type": "integer"}},
    "required": ["path", "bytes"],
}


@hookimpl
def register_actions(register: Callable[[Action], None], settings: Mapping[str, Any]) -> None:
    chosen = read_settings(Settings, settings)
    register(
        Action(
            name="file_read",
            run=partial(file_read, chosen),
            description="Read a UTF-8 text file in the workspace.",
            input_schema=_READ_INPUT,
            output_schema=_READ_OUTPUT,
            effects="read",
            open_world=False,
            idempotent=True,
        )
    )
    register(
        Action(
            name="file_write",
            run=partial(file_write, chosen),
            description="Write a UTF-8 text file in the workspace, whole or not at all.",
            input_schema=_WRITE_INPUT,
            output_schema=_WRITE_OUTPUT,
            effects="write",
            open_world=False,
        )
    )
