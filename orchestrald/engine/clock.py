"""What time is it, what is a new thing called, and how do the dice fall? The engine's only source of all three, so
that tests can own them.
"""

import os
import random
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

    def chance(self) -> float:
        """A number in [0, 1): it spreads retries, and guards nothing."""
        ...


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1000

    def identifier(self, prefix: str) -> str:
        # 50 bits of milliseconds, so that names sort by time, and 80 of chance.
        return prefix + _encode(((time.time_ns() // 1_000_000) << 80) | int.from_bytes(os.urandom(10)))

    def chance(self) -> float:
        return random.random()  # noqa: S311  guards nothing


class TrioClock:
    """The trio clock as wall time, so that an autojump clock moves both; names are counted, so that runs repeat, and so
    does chance when it is given a seed."""

    def __init__(self, start: int = 1_000_000_000_000_000, seed: int | None = None) -> None:
        self._start = start
        self._names = 0
        self.chance = random.Random(seed).random  # noqa: S311  guards nothing

    def now(self) -> int:
        return self._start + int(trio.current_time() * 1_000_000)

    def identifier(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names:04}"


def _encode(number: int) -> str:
    """130 bits in Crockford's base 32, as ULIDs use it, in lower case. Each step of each plan pays for this."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
