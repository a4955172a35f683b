"""Beneath which folder does a path lie?

Mode `none` takes the root check away, as the operator asked for, and nothing else: links are refused in every mode.
"""

import os

from orchestrald.hookspecs import ActionError
from orchestrald_files.settings import Settings


def place(settings: Settings, workspace: str, path: str) -> tuple[str, str]:
    """The root and the path within it. Raises ActionError: no workspace, `..`, or outside of every root."""
    if "\0" in path or ".." in path.split("/"):
        raise ActionError(f"{path!r} must not contain '..'", code="bad_path")
    roots = [_absolute(root, workspace) for root in settings.sandbox_writable_roots]
    if not os.path.isabs(path):
        if not workspace:
            raise ActionError(
                f"{path!r} is relative and the interaction has no workspace; "
                "pass one with `orchestral run --workspace DIR`",
                code="no_workspace",
            )
        path = os.path.join(os.path.realpath(workspace), path)
    path = os.path.normpath(path)
    for root in roots:
        # Also by the name that the user gave it: /tmp/x is /private/tmp/x on macOS. The link is the root's own.
        for name in (os.path.realpath(root), os.path.normpath(root)) if root else ():
            if path.startswith(name.rstrip("/") + "/"):
                return name, os.path.relpath(path, name)
    if settings.sandbox_mode == "none":
        return "/", path.lstrip("/")
    allowed = ", ".join(root for root in roots if root) or "none: the interaction has no workspace"
    raise ActionError(f"{path} is outside of the folders that may be used ({allowed})", code="outside_workspace")


def _absolute(root: str, workspace: str) -> str:
    """Empty when it is relative and there is no workspace to take it from."""
    if os.path.isabs(root):
        return root
    return os.path.normpath(os.path.join(workspace, root)) if workspace else ""
