"""How does the daemon say what it does?

People on a terminal get a line they can read, everything else gets one JSON object per line. Parameters, outputs and
secrets are never logged above debug: what a step did is in the journal, with its own rules.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from orchestrald.errors import ConfigError
from orchestrald.protocol.foreign_text import plain

Form = Literal["auto", "human", "json"]

_LETTER = {"DEBUG": "D", "INFO": " ", "WARNING": "W", "ERROR": "E", "CRITICAL": "E"}


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("orchestrald.")
        line = f"{at} {_LETTER.get(record.levelname, ' ')} {name}: {plain(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str, file: str | None, form: Form) -> None:
    """Send the daemon's log to `file` (made with mode 0600) or to stderr. Raises ConfigError if it cannot be opened."""
    handler: logging.Handler
    if file:
        path = Path(file).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            handler = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"The log file {path} cannot be opened: {error.strerror}.") from error
    else:
        handler = logging.StreamHandler(sys.stderr)
    human = form == "human" or (form == "auto" and not file and sys.stderr.isatty())
    handler.setFormatter(_Human() if human else _Json())
    root = logging.getLogger("orchestrald")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())
