"""What does `file_read` do?"""

import codecs
import os
from typing import Any

import trio

from orchestrald.hookspecs import ActionContext, ActionError, Refused, open_root
from orchestrald_files.roots import place
from orchestrald_files.settings import Settings


async def file_read(settings: Settings, params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    limit = min(params.get("max_bytes", settings.max_read_bytes), settings.max_read_bytes)
    root, path = place(settings, context.workspace, params["path"])
    if refusal := context.shell.refusal(root, path, write=False):
        raise ActionError(refusal, code="protected")
    data = await trio.to_thread.run_sync(_read, root, path, limit + 1)
    truncated = len(data) > limit
    if truncated and not params.get("truncate", False):
        raise ActionError(
            f"{params['path']} is larger than {limit} bytes; set truncate, or raise max_read_bytes", code="too_large"
        )
    content = _text(data[:limit], params["path"], final=not truncated)
    return {
        "content": content,
        "path": os.path.join(root, path),
        "bytes": len(content.encode()),
        "truncated": truncated,
    }


def _read(root: str, path: str, most: int) -> bytes:
    try:
        with open_root(root) as folder, folder.open(path) as file:
            return file.read(most)
    except FileNotFoundError as error:
        raise ActionError(str(error), code="not_found") from None
    except Refused as refusal:
        raise ActionError(str(refusal), code="refused") from None
    except OSError as error:
        raise ActionError(f"{path}: {error.strerror or error}", code="unreadable") from None


def _text(data: bytes, path: str, *, final: bool) -> str:
    try:
        # Not final: a character that the cut went through is left out, and is no fault of the file.
        return codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError as error:
        raise ActionError(f"{path} is not UTF-8 text (byte {error.start})", code="not_text") from None
