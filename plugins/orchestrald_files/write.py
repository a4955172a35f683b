"""What does `file_write` do?"""

import os
from typing import Any

import trio

from orchestrald.hookspecs import ActionContext, ActionError, Refused, open_root
from orchestrald_files.roots import place
from orchestrald_files.settings import Settings


async def file_write(settings: Settings, params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    if settings.sandbox_mode == "read_only":
        raise ActionError("the operator has set sandbox_mode to read_only: nothing is written", code="denied")
    content = params["content"].encode()
    if not content and not params.get("allow_empty", False):
        raise ActionError("the content is empty; set allow_empty if that is meant", code="empty")
    limit = min(params.get("max_bytes", settings.max_write_bytes), settings.max_write_bytes)
    if len(content) > limit:
        raise ActionError(f"the content has {len(content)} bytes, and {limit} are allowed", code="too_large")
    root, path = place(settings, context.workspace, params["path"])
    if refusal := context.shell.refusal(root, path, write=True):
        raise ActionError(refusal, code="protected")
    append = params.get("append", settings.append)
    if not context.dry_run:
        await trio.to_thread.run_sync(_write, settings, root, path, content, append)
    return {"path": os.path.join(root, path), "bytes": len(content)}


def _write(settings: Settings, root: str, path: str, content: bytes, append: bool) -> None:
    try:
        with open_root(root) as folder:
            write = folder.append if append else folder.replace
            write(path, content, create_dirs=settings.create_dirs)
    except FileNotFoundError as error:
        raise ActionError(str(error), code="not_found") from None
    except Refused as refusal:
        raise ActionError(str(refusal), code="refused") from None
    except OSError as error:
        raise ActionError(f"{path}: {error.strerror or error}", code="unwritable") from None
