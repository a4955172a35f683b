"""What does a line on a plugin's stderr mean?

Log lines, with a level if the plugin gives one (sd-daemon's `<3>` or Telegraf's `E!`), and progress. All of it is for
display, so a forged line does no harm.
"""

import re
from math import isfinite
from typing import Any, Literal, NamedTuple

from orchestrald.protocol import strict_json
from orchestrald.protocol.foreign_text import plain

Level = Literal["debug", "info", "warning", "error"]

_SD_DAEMON: tuple[Level, ...] = ("error", "error", "error", "error", "warning", "info", "info", "debug")
_TELEGRAF: dict[str, Level] = {"E!": "error", "W!": "warning", "I!": "info", "D!": "debug"}
_PREFIX = re.compile(r"<([0-7])>\s?|([EWID]!)(?:\s|$)")
_PROGRESS = b"::progress "
_MAX_LINE = 16 * 1024


class Line(NamedTuple):
    """Something to log. `text` is safe to show on a terminal."""

    level: Level
    text: str


class Progress(NamedTuple):
    """How far it is. `total` missing means nobody knows; both missing leaves the message alone."""

    done: float | None
    total: float | None
    message: str


def parse(line: bytes) -> Line | Progress:
    """One line of stderr, with or without its line feed. A progress line that is none is a log line."""
    if line.startswith(_PROGRESS) and len(line) <= _MAX_LINE:
        progress = _progress(line[len(_PROGRESS) :])
        if progress is not None:
            return progress
    text = line[:_MAX_LINE].decode("utf-8", "replace").rstrip("\r\n")
    match = _PREFIX.match(text)
    if match is None:
        return Line("info", plain(text))
    level = _SD_DAEMON[int(match[1])] if match[1] else _TELEGRAF[match[2]]
    return Line(level, plain(text[match.end() :]))


def _progress(data: bytes) -> Progress | None:
    try:
        value = strict_json.loads(data, max_depth=2, max_values=16)
    except strict_json.NotStrictJson:
        return None
    if not isinstance(value, dict):
        return None
    done, total, message = value.get("done"), value.get("total"), value.get("message", "")
    if not (_is_amount(done) and _is_amount(total) and isinstance(message, str)):
        return None
    return Progress(done, total, plain(message, 200).replace("\n", " "))


def _is_amount(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0
