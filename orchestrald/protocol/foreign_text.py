"""How is text that a stranger wrote made fit for a log, a terminal and a message?

A plugin's text may move the cursor, rewrite the title, or turn the reading direction round (terminal injection): it
is never shown as it came.
"""

import re

MAX_CHARS = 2_000

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # all but tab and line feed
_SEPARATORS = r"\u2028\u2029"
_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SURROGATES = r"\ud800-\udfff"
_UNSAFE = re.compile(f"[{_CONTROLS}{_SEPARATORS}{_DIRECTION}{_SURROGATES}]")


def plain(text: str, limit: int = MAX_CHARS) -> str:
    """`text` with control characters escaped (`\\x1b`), and its end cut off beyond `limit` characters."""
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    safe = _escaped(text)
    return f"{safe}… ({cut} more characters)" if cut > 0 else safe


def tail(data: bytes, limit: int = MAX_CHARS) -> str:
    """The end of what a program printed, as plain text of at most `limit` characters. Empty if it printed nothing."""
    # A character is at most 4 bytes: no need to decode megabytes for the last lines.
    cut = len(data) > 4 * limit
    text = data[-4 * limit :].decode("utf-8", "replace").strip()
    if len(text) > limit:
        cut, text = True, text[-limit:]
    safe = _escaped(text.replace("\r\n", "\n"))
    return f"…{safe}" if cut else safe


def _escaped(text: str) -> str:
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
