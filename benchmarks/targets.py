"""What was promised? Each bound is on a ratio of two figures of the same run, so that it holds on any machine.

Where the other figure is a plain limit (a second, a number of megabytes), the ratio is the share of it that was used.
"""

from typing import Literal, NamedTuple


class Bound(NamedTuple):
    side: Literal["≥", "≤"]
    factor: float

    def met(self, ratio: float) -> bool:
        return self.score(ratio) >= 1

    def score(self, ratio: float) -> float:
        """How many times better than promised; 1 is exactly as promised, less is worse."""
        return ratio / self.factor if self.side == "≥" else self.factor / max(ratio, 1e-9)

    def __str__(self) -> str:
        return f"{self.side} {self.factor:g}"


APPENDS = Bound("≥", 0.8)
"""Appends at 16 and 256 at a time, of plain sqlite3 with group commit."""
CHAIN = Bound("≥", 0.6)
"""Steps of a durable chain, of one-row commits through the same driver."""
WIDE = Bound("≥", 5)
"""Fan-out and many at once, of the best durable peer on SQLite."""
AHEAD = Bound("≥", 1)
"""Rates, of each peer."""
SOONER = Bound("≤", 1)
"""Times, of each peer."""
SOCKET = Bound("≤", 4)
"""From submit to durable result through the socket, in one-row commits."""
EXTERNAL = Bound("≤", 1.25)
"""A sandboxed one-shot step, of the same program spawned by the same policy."""
SANDBOX = Bound("≤", 2.5)
"""A run under the whole policy, of one under the least that bwrap can do."""
SCALE = Bound("≤", 1.3)
"""A step of a plan of 10,000, of a step of a plan of 100 of the same shape."""
CROWD = Bound("≤", 1.2)
"""An interaction in a store where 100,000 are over, of one in an empty store."""
CLIENT = Bound("≤", 2)
"""`orchestral status`, of a bare `python -c pass`."""
LIMIT = Bound("≤", 1)
"""A plain limit."""

RECOVERY_S = 1.0
READY_S = 0.5
REST_MB = 45.0
BUSY_MB = 80.0
STEP_BYTES = 1024.0
WAITING_BYTES = 5000.0
PROMPT_MS = 250.0
ROUND_MS = 25.0
