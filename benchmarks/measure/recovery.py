"""How long does it take to recover 1,000 interactions that a kill -9 left unfinished?

A process submits them, none of them can finish, and it is killed once every submission is durable. Counted: from
opening the store in a new process until the last of them has its durable end.
"""

from benchmarks import contestants
from benchmarks.rounds import Settings, limited
from benchmarks.row import Row
from benchmarks.targets import LIMIT, RECOVERY_S


async def measure(settings: Settings) -> list[Row]:
    taken = [contestants.recovery(contestants.OURS, settings) for _ in range(settings.rounds)]
    return [limited("recovery of 1,000 unfinished", "s", taken, RECOVERY_S, LIMIT)]
