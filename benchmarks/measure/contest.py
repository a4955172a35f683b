"""Are we ahead of what one would use instead? Each system in its own process, its persistence on, in its own idiom.

All of them run the same: a chain of 100 no-op steps, a fan-out of 1,000, 100 chains of 10 at once, one step alone, and
(the durable ones) 1,000 that a kill -9 left unfinished. Our single step is asked for through the daemon's socket, as
its users ask; the peers answer in process.
"""

from collections.abc import Mapping
from statistics import median

from benchmarks import contestants, environment
from benchmarks.contestants import OURS, PEERS, Contestant, Failed
from benchmarks.daemon import daemon
from benchmarks.measure import socket
from benchmarks.rounds import Settings, compared
from benchmarks.row import Row
from benchmarks.targets import AHEAD, SOONER, WIDE, Bound

DURABLE = tuple(peer for peer in PEERS if peer.durable)
MOST_ROUNDS = 3
"""A round takes a minute, nearly all of it the peers' recovery."""

WIDE_RATES = {"fan_out": "fan-out of 1,000, steps", "many": "100 × 10 at once, steps"}


async def measure(settings: Settings) -> list[Row]:
    found = _Found()
    problem = environment.ready() if settings.peers else "peers were not asked for"
    if problem:
        found.problems = dict.fromkeys(PEERS, problem)
    else:
        for number in range(min(settings.rounds, MOST_ROUNDS)):
            await _round(settings, found, number)
    return [
        *(found.row("chain", "chain of 100, steps", "/s", peer, AHEAD) for peer in PEERS),
        *_wide(found),
        *(found.row("one_step_ms", "one durable step (ours: socket)", "ms", peer, SOONER) for peer in PEERS),
        *(found.row("recovery_s", "recovery of 1,000", "s", peer, SOONER) for peer in DURABLE),
    ]


async def _round(settings: Settings, found: "_Found", number: int) -> None:
    """Everybody once; who begins, turns."""
    everybody = (OURS, *PEERS)
    for place in range(len(everybody)):
        who = everybody[(place + number) % len(everybody)]
        try:
            figures = contestants.speed(who, settings)
            if who is OURS:
                figures["one_step_ms"] = [await _through_the_socket(settings)]
            if who.durable:
                figures["recovery_s"] = [contestants.recovery(who, settings)]
        except Failed as error:
            found.problems[who] = str(error)
        else:
            found.add(who, figures)


async def _through_the_socket(settings: Settings) -> float:
    with daemon(settings.fresh("home")) as running:
        connection = running.connect()
        await socket.p50(connection, socket.submit)
        taken = await socket.p50(connection, socket.submit)
        connection.close()
        return taken


def _wide(found: "_Found") -> list[Row]:
    rows = []
    for key, what in WIDE_RATES.items():
        best = found.best(key)
        rows.append(
            found.row(
                key,
                what,
                "/s",
                best,
                WIDE,
                versus=f"{best.name}, the best durable peer" if found.figures[best] else "the best durable peer",
            )
        )
        rows += [found.row(key, what, "/s", peer, AHEAD) for peer in PEERS if not peer.durable]
    return rows


class _Found:
    """The figures of each contestant by name, or why it has none."""

    def __init__(self) -> None:
        self.figures: dict[Contestant, dict[str, list[float]]] = {who: {} for who in (OURS, *PEERS)}
        self.problems: dict[Contestant, str] = {}

    def add(self, who: Contestant, report: Mapping[str, list[float]]) -> None:
        for name, figures in report.items():
            self.figures[who].setdefault(name, []).extend(figures)

    def row(self, key: str, what: str, unit: str, peer: Contestant, bound: Bound, *, versus: str = "") -> Row:
        ours, other = self.figures[OURS].get(key), self.figures[peer].get(key)
        if ours and other:
            return compared(what, unit, ours, versus or peer.name, other, bound)
        problem = self.problems.get(peer) or self.problems.get(OURS) or "no figure"
        return Row(what=what, unit=unit, ours=None, versus=versus or peer.name, other=None, bound=bound, absent=problem)

    def best(self, key: str) -> Contestant:
        """The fastest durable peer; any when none was measured."""
        return max(DURABLE, key=lambda peer: median(self.figures[peer].get(key, [0.0])))
