"""Which bytes after a request's head belong to that request?

Whatever comes later on the connection is never sent on: a second request behind the first could name another virtual
host. So the end of the body is found by the strictest reading, and a body of which two programs could see different
ends is refused.
"""

from __future__ import annotations

import re

_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")  # no chunk extension: nobody sends one but to confuse
_LONGEST_SIZE_LINE = 10


class BadBody(ValueError):
    """The body is not chunked as it says."""


class Body:
    """Fed with what the client sends, tells what to send on. `length` None: chunked, without trailer fields."""

    __slots__ = ("_buffer", "_chunked", "_last", "_left", "ended", "surplus")

    def __init__(self, length: int | None) -> None:
        self._chunked = length is None
        self._left = length or 0  # bytes until the length, or the end of a chunk with its CRLF
        self._buffer = b""  # of chunked: what cannot be judged yet, less than a size line
        self._last = False
        self.ended = length == 0
        self.surplus = False  # bytes came that belong to no body: the connection must not go on

    def take(self, data: bytes) -> bytes:
        """The part of `data`, and of what was held back, that may be sent on; BadBody ends the connection."""
        if not self._chunked:
            taken, rest = data[: self._left], data[self._left :]
            self._left -= len(taken)
            self.ended = self._left == 0
            self.surplus = self.surplus or bool(rest)
            return taken
        data = self._buffer + data
        at = 0  # an index, not ever shorter copies: a chunk may have one byte
        while at < len(data) and not self.ended:
            step = self._in_chunk(data, at) if self._left else self._size_line(data, at)
            if step == 0:
                break
            at += step
        self.surplus = self.surplus or (self.ended and at < len(data))
        self._buffer = b"" if self.ended else data[at:]
        return data[:at]

    def _size_line(self, data: bytes, at: int) -> int:
        """How many bytes the line with a chunk's size has; 0 while it is not all there."""
        end = data.find(b"\r\n", at, at + _LONGEST_SIZE_LINE)
        if end < 0 and len(data) - at < _LONGEST_SIZE_LINE:
            return 0
        if end < 0 or not _SIZE.fullmatch(data, at, end):
            raise BadBody("a chunk's size is not one to eight hexadecimal digits")
        size = int(data[at:end], 16)
        self._last = size == 0
        self._left = size + 2
        return end + 2 - at

    def _in_chunk(self, data: bytes, at: int) -> int:
        """How many bytes of the chunk can go on now: its data as it comes, its CRLF only whole."""
        if self._left > 2:
            step = min(len(data) - at, self._left - 2)
            self._left -= step
            return step
        if len(data) - at < 2:
            return 0
        if data[at : at + 2] != b"\r\n":
            raise BadBody("a chunk has no line end, or there are trailer fields, which are not sent on")
        self._left = 0
        self.ended = self._last
        return 2
