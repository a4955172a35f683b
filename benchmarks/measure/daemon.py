"""How soon does the daemon answer, and what does it hold in memory: at rest, and after 10,000 interactions?

Ready: from the spawn of the process, in an empty home, to its first answer on the socket. Memory: resident.
"""

import json
from pathlib import Path

import trio

from benchmarks.daemon import daemon
from benchmarks.rounds import Settings, limited
from benchmarks.row import Row
from benchmarks.targets import BUSY_MB, LIMIT, READY_S, REST_MB

INTERACTIONS = 10_000
WINDOW = 16
"""Calls that are under way at a time."""
SETTLE_S = 1.5
"""After the start: until the plugin folders have been looked at and the sandbox was asked."""

_CALL = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "action.call", "params": {"name": "echo", "params": {"message": "hello"}}}
)


async def measure(settings: Settings) -> list[Row]:
    ready, rest, busy = [], [], []
    for number in range(settings.rounds):
        with daemon(settings.fresh("home")) as running:
            ready.append(running.ready_s)
            await trio.sleep(SETTLE_S)
            rest.append(running.megabytes())
            if number == 0:
                await _interact(Path(running.paths.socket))
                busy.append(running.megabytes())
    return [
        limited("daemon ready", "s", ready, READY_S, LIMIT),
        limited("daemon at rest", "MB", rest, REST_MB, LIMIT),
        limited(f"daemon after {INTERACTIONS:,} interactions", "MB", busy, BUSY_MB, LIMIT),
    ]


async def _interact(socket: Path) -> None:
    async with await trio.open_unix_socket(socket) as stream:
        left, buffered = INTERACTIONS, b""
        while left:
            await stream.send_all((_CALL + "\n").encode() * min(WINDOW, left))
            waiting = min(WINDOW, left)
            left -= waiting
            while waiting:
                buffered += bytes(await stream.receive_some())
                *lines, buffered = buffered.split(b"\n")
                waiting -= len(lines)
                assert all(b'"completed"' in line for line in lines), lines[0]
