"""How much of what a program says is kept, and how does its stderr reach the observer?

Rules of this file: nothing here grows without a bound, and nothing said on stderr can do more than be displayed.
"""

import time
from collections import deque
from typing import Literal

from orchestrald.protocol.stderr import Progress, parse
from orchestrald.runner.base import Observer

LINE_BYTES = 16 * 1024
"""A stderr line is cut here: a program that never ends a line must not make us hold it."""

PROGRESS_INTERVAL = 0.1
"""Seconds between two progress reports of one attempt; the last one (done equals total) is never dropped."""


class Capture:
    """The first or the last `limit` bytes of a stream, and how many there were in all (`total`)."""

    __slots__ = ("_chunks", "_held", "keep", "limit", "total")

    def __init__(self, limit: int, keep: Literal["head", "tail"] = "head") -> None:
        self.limit = limit
        self.keep = keep
        self.total = 0
        self._held = 0
        self._chunks: deque[bytes] = deque()

    def feed(self, data: bytes) -> None:
        self.total += len(data)
        if self.keep == "head":
            data = data[: self.limit - self._held]
        if not data:
            return
        self._held += len(data)
        self._chunks.append(data)
        while self.keep == "tail" and self._chunks and self._held - len(self._chunks[0]) >= self.limit:
            self._held -= len(self._chunks.popleft())

    @property
    def truncated(self) -> bool:
        return self.total > self.limit

    def value(self) -> bytes:
        whole = b"".join(self._chunks)
        return whole[max(0, len(whole) - self.limit) :] if self.keep == "tail" else whole


class LogLines:
    """Splits stderr into lines and tells the observer what `protocol.stderr` makes of each; empty ones are left out."""

    __slots__ = ("_observer", "_partial", "_reported")

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._partial = b""
        self._reported = float("-inf")

    def feed(self, data: bytes) -> None:
        *whole, rest = (self._partial + data).split(b"\n")
        for line in whole:
            self._say(line)
        if len(rest) > LINE_BYTES:
            self._say(rest)
            rest = b""
        self._partial = rest

    def end(self) -> None:
        """The stream is over: what had no newline is a line too."""
        self._say(self._partial)
        self._partial = b""

    def _say(self, line: bytes) -> None:
        if not line.strip():
            return
        said = parse(line)
        if isinstance(said, Progress):
            self._progress(said)
        else:
            self._observer.log(said.level, said.text)

    def _progress(self, said: Progress) -> None:
        # A monotonic clock, not trio's: display only, and so no business of a test's clock.
        now = time.monotonic()
        if now - self._reported >= PROGRESS_INTERVAL or (said.done is not None and said.done == said.total):
            self._reported = now
            self._observer.progress(*said)
