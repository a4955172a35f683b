"""How does the daemon say what it does?

People on a terminal get a line they can read, everything else gets one JSON object per line. Parameters and outputs are
never logged above debug: what a step did is in the journal, with its own rules. Secrets are not logged at all: servers
and programs echo them, so whatever leaves is redacted here, what libraries have to say included.
"""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from orchestrald.core.redaction import Redaction
from orchestrald.errors import ConfigError
from orchestrald.protocol.foreign_text import plain

Form = Literal["auto", "human", "json"]

_LETTER = {"DEBUG": "D", "INFO": " ", "WARNING": "W", "ERROR": "E", "CRITICAL": "E"}


class _Human(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("orchestrald.")
        said = plain(self._redact(record.getMessage()))
        line = f"{at} {_LETTER.get(record.levelname, ' ')} {name}: {said}"
        return f"{line}\n{self._redact(self.formatException(record.exc_info))}" if record.exc_info else line


class _Json(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


_PATTERNS = Redaction()


def configure(level: str, file: str | None, form: Form, redact: Callable[[str], str] = _PATTERNS) -> None:
    """Send the daemon's log to `file` (made with mode 0600) or to stderr. Raises ConfigError if it cannot be opened.

    `level` is for what we say ourselves; of libraries only warnings are heard.
    """
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
    handler.setFormatter(_Human(redact) if human else _Json(redact))
    root, ours = logging.getLogger(), logging.getLogger("orchestrald")
    root.handlers[:] = [handler]
    ours.setLevel(level.upper())
    root.setLevel(max(ours.level, logging.WARNING))
    logging.captureWarnings(True)
