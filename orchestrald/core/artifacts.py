"""Which stored content does an output name, and what is known of it?

A program's file stands in its output as `{"$artifact": digest, "media_type", "size", "name"}`; an output that is too
large for an event is stored as a whole. Each becomes an `artifact.stored` event beside the step's success.
"""

import re
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

TYPES = ("image", "document", "file", "text", "code", "url", "summary", "embedding")
"""The types that have a name; any other word of this form is somebody's own."""

TYPE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")

MOST = 1_000
"""Artifacts of one output that are listed."""


def whole(step_id: str, digest: str, size: int, until: int | None) -> dict[str, Any]:
    """The data of the event for a whole output. `until` missing means that it is kept for ever."""
    return about(digest, "document", "application/json", f"{step_id}.json", size, until)


def within(output: Any, until: int | None) -> list[dict[str, Any]]:
    """The data of the events for the files that an output names, each content once. What is no artifact is none."""
    found: dict[str, dict[str, Any]] = {}
    pending = [output]
    while pending and len(found) < MOST:
        node = pending.pop()
        if isinstance(node, dict):
            if (digest := _digest(node)) is not None:
                media_type = str(node.get("media_type") or "application/octet-stream")[:200]
                size = node.get("size")
                name = str(node.get("name") or "")[:255]
                size = size if isinstance(size, int) else 0
                found.setdefault(digest, about(digest, type_of(media_type), media_type, name, size, until))
            else:
                pending.extend(reversed(node.values()))
        elif isinstance(node, list):
            pending.extend(reversed(node))
    return list(found.values())


def about(digest: str, type_: str, media_type: str, name: str, size: int, until: int | None) -> dict[str, Any]:
    data: dict[str, Any] = {"digest": digest, "type": type_, "media_type": media_type, "name": name, "size": size}
    return data | {"metadata": {}} | ({} if until is None else {"until": until})


def type_of(media_type: str) -> str:
    first = media_type.partition("/")[0]
    if first in {"image", "text"}:
        return first
    return "document" if media_type in {"application/json", "application/pdf"} else "file"


def _digest(node: dict[Any, Any]) -> str | None:
    digest = node.get("$artifact")
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else None
