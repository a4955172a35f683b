"""What time is it, and what is a new thing called? The engine's only source of both, so that tests can own them."""

import os
import time
from typing import Protocol

import trio

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


class Clock(Protocol):
    def now(self) -> int:
        """UTC microseconds since 1970."""
        ...

    def identifier(self, prefix: str) -> str:
        """A new name such as `int_01jd…`: sorts by time, and is unique without asking anybody."""
        ...


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1000

    def identifier(self, prefix: str) -> str:
        # 50 bits of milliseconds, so that names sort by time, and 80 of chance.
        return prefix + _encode(((time.time_ns() // 1_000_000) << 80) | int.from_bytes(os.urandom(10)))


class TrioClock:
    """The trio clock as wall time, so that an autojump clock moves both; names are counted, so that runs repeat."""

    def __init__(self, start: int = 1_000_000_000_000_000) -> None:
        self._start = start
        self._names = 0

    def now(self) -> int:
        return self._start + int(trio.current_time() * 1_000_000)

    def identifier(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names:04}"


def _encode(number: int) -> str:
    """130 bits in Crockford's base 32, as ULIDs use it, in lower case. Each step of each plan pays for this."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
