"""What time is it, and what is a new thing called? The engine's only source of both, so that tests can own them."""

import os
import time
from typing import Protocol

import trio

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


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
        return prefix + _encode(time.time_ns() // 1_000_000, 10) + _encode(int.from_bytes(os.urandom(10)), 16)


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


def _encode(number: int, length: int) -> str:
    """Crockford's base 32, as ULIDs use it, in lower case."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
