"""What was learnt about the endpoints, and survives a restart?

A cache in a JSON file: `{"<address> <model>": {"mode": ..., "limit": ..., "temperature": ..., "streams": ...}}`. It may
be missing, damaged or impossible to write: then it is learnt again, which costs a few short questions. It is small and
written about once per endpoint, so no thread is taken for it; and it is not synced, for it is a cache.
"""

import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrald.models.dialect import MODES, Dialect
from orchestrald.models.profile import Profile
from orchestrald.protocol.strict_json import NotStrictJson, loads

log = logging.getLogger("orchestrald.models")

MOST = 200
"""Endpoints; the oldest are dropped. More than that is somebody's loop over names."""


class Known:
    """Dialects by endpoint. Without a path they are kept in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._dialects = _read(path) if path is not None else {}

    def get(self, profile: Profile, model: str) -> Dialect | None:
        return self._dialects.get(_key(profile, model))

    def remember(self, profile: Profile, model: str, dialect: Dialect) -> None:
        key = _key(profile, model)
        if self._dialects.get(key) == dialect:
            return
        self._dialects.pop(key, None)
        self._dialects[key] = dialect
        while len(self._dialects) > MOST:
            del self._dialects[next(iter(self._dialects))]
        self._write()

    def forget(self, profile: Profile, model: str) -> None:
        if self._dialects.pop(_key(profile, model), None) is not None:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps({key: asdict(dialect) for key, dialect in self._dialects.items()}, indent=1)
        temporary = ""
        try:
            # mkstemp makes it 0600: which endpoints somebody uses is nobody else's business.
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            Path(temporary).replace(self._path)
        except OSError as error:
            log.warning("what was learnt about models is not kept across restarts: %s", error)
            if temporary:
                Path(temporary).unlink(missing_ok=True)


def _key(profile: Profile, model: str) -> str:
    return f"{profile.shown_address} {model}"


def _read(path: Path) -> dict[str, Dialect]:
    try:
        stored = loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, NotStrictJson) as error:
        log.warning("%s cannot be read, so the models are asked again what they can do: %s", path, error)
        return {}
    items = stored.items() if isinstance(stored, dict) else ()
    return {key: dialect for key, value in items if (dialect := _dialect(value)) is not None}


def _dialect(value: Any) -> Dialect | None:
    match value:
        case {"mode": mode, "limit": "max_tokens" | "max_completion_tokens" as limit} if mode in (None, *MODES):
            return Dialect(mode, limit, value.get("temperature") is not False, value.get("streams") is not False)
    return None
