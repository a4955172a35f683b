"""How long does a client wait from submitting to a durable result, through the socket? Counted in one-row commits.

Two requests, as the client sends them: `interaction.submit` of a plan of one step with a `request_id`, then
`interaction.wait`. Shown as well: `action.call`, which is one request. A connection is open already.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.daemon import daemon
from benchmarks.floors.one_row import one_row
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import SOCKET
from orchestrald.client import Connection, request_id

TIMES = 100
PLAN = {"goal": "measure", "steps": [{"id": "s0", "action": "echo", "params": {"message": "hello"}}]}


async def measure(settings: Settings) -> list[Row]:
    with daemon(settings.fresh("home")) as running:
        connection = running.connect()
        async with one_row(settings.fresh("one_row")) as floor:

            async def commit() -> float:
                return await floor.p50(TIMES) * 1000

            submitted, called, commits = await interleaved(
                settings.rounds * 2, [partial(p50, connection, submit), partial(p50, connection, call), commit]
            )
        connection.close()
    return [
        compared("submit → durable result, p50", "ms", submitted, "a one-row commit", commits, SOCKET),
        compared("action.call, p50", "ms", called, "a one-row commit", commits, None),
    ]


def submit(connection: Connection) -> None:
    started = connection.call("interaction.submit", {"plan": PLAN, "request_id": request_id()})
    ended = connection.call("interaction.wait", {"interaction_id": started["interaction_id"]})
    assert ended["state"] == "completed", ended


def call(connection: Connection) -> None:
    ended = connection.call("action.call", {"name": "echo", "params": {"message": "hello"}, "request_id": request_id()})
    assert ended["state"] == "completed", ended


async def p50(connection: Connection, once: Callable[[Connection], None]) -> float:
    """Milliseconds. Blocks the loop, on which nothing else runs."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        once(connection)
        taken.append(time.perf_counter() - began)
    return median(taken) * 1000
