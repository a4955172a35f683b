"""Are we ahead of what one would use instead? Each system in its own process, its persistence on, in its own idiom.

All of them run the same: a chain of 100 no-op steps, a fan-out of 1,000, 100 chains of 10 at once, one step alone, and
(the durable ones) 1,000 that a kill -9 left unfinished. Ours answers the single step through the daemon's socket, as
its users ask it; the peers answer in process.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from benchmarks import contestants, environment
from benchmarks.contestants import OURS, PEERS, Contestant, Failed
from benchmarks.daemon import daemon
from benchmarks.measure import socket
from benchmarks.rounds import Settings, compared
from benchmarks.row import Row
from benchmarks.targets import AHEAD, SOONER, WIDE, Bound

RATES = {"chain": "durable chain of 100, steps", "fan_out": "fan-out of 1,000, steps", "many": "100 × 10 at once, steps"}


async def measure(settings: Settings) -> list[Row]:
    problem = environment.ready() if settings.peers else "not asked for"
    if problem:
        return [_absent("all of it", peer, problem) for peer in PEERS]
    found = _Found()
    for _ in range(1 if settings.quick else 3):
        for who in (OURS, *PEERS):
            found.add(who, lambda who=who: contestants.speed(who, settings))  # type: ignore[misc]
        with daemon(settings.fresh("home")) as running:
            connection = running.connect()
            found.figures[OURS]["one_step_ms"] = [
                *found.figures[OURS].get("through_socket_ms", []),
                await socket.p50(connection, socket.submit),
            ]
            found.figures[OURS]["through_socket_ms"] = found.figures[OURS]["one_step_ms"]
            connection.close()
        for who in (OURS, *(peer for peer in PEERS if peer.durable)):
            found.add(who, lambda who=who: {"recovery_s": [contestants.recovery(who, settings)]})  # type: ignore[misc]
    return [*_rates(found), *_times(found)]


class _Found:
    """The figures of each contestant by name, or why it has none."""

    def __init__(self) -> None:
        self.figures: dict[Contestant, dict[str, list[float]]] = {who: {} for who in (OURS, *PEERS)}
        self.problems: dict[Contestant, str] = {}

    def add(self, who: Contestant, ask: Callable[[], dict[str, Any]]) -> None:
        try:
            report = ask()
        except Failed as error:
            self.problems[who] = str(error)
            return
        for name, figures in report.items():
            self.figures[who].setdefault(name, []).extend(figures)

    def row(self, key: str, what: str, unit: str, peer: Contestant, bound: Bound | None, versus: str = "") -> Row:
        ours, other = self.figures[OURS].get(key), self.figures[peer].get(key)
        if not ours or not other:
            return _absent(what, peer, self.problems.get(peer) or self.problems.get(OURS) or "no figure", bound)
        return compared(what, unit, ours, versus or peer.name, other, bound)

    def best(self, key: str, peers: Sequence[Contestant]) -> Contestant | None:
        """The fastest of them."""
        measured = [peer for peer in peers if self.figures[peer].get(key)]
        return max(measured, key=lambda peer: median(self.figures[peer][key]), default=None)


def _rates(found: _Found) -> list[Row]:
    rows = [
        found.row("chain", RATES["chain"], "/s", peer, AHEAD) for peer in PEERS
    ]
    durable = [peer for peer in PEERS if peer.durable]
    for key in ("fan_out", "many"):
        best = found.best(key, durable)
        if best is not None:
            rows.append(found.row(key, RATES[key], "/s", best, WIDE, f"{best.name}, the best durable peer"))
        rows += [found.row(key, RATES[key], "/s", peer, AHEAD) for peer in PEERS if not peer.durable]
    return rows


def _times(found: _Found) -> list[Row]:
    one = [found.row("one_step_ms", "one durable step (ours: socket)", "ms", peer, SOONER) for peer in PEERS]
    durable = [peer for peer in PEERS if peer.durable]
    return [*one, *(found.row("recovery_s", "recovery of 1,000", "s", peer, SOONER) for peer in durable)]


def _absent(what: str, peer: Contestant, problem: str, bound: Bound | None = None) -> Row:
    return Row(what=what, unit="", ours=None, versus=peer.name, other=None, bound=bound, absent=problem)
