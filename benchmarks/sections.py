"""Of which parts is the table made, and in which order are they shown?"""

from collections.abc import Awaitable, Callable

from benchmarks.measure import (
    appends,
    chains,
    client,
    contest,
    crowd,
    daemon,
    disk,
    external,
    planning,
    recovery,
    sandbox,
    scale,
    socket,
)
from benchmarks.rounds import Settings
from benchmarks.row import Row

SECTIONS: dict[str, Callable[[Settings], Awaitable[list[Row]]]] = {
    "appends": appends.measure,
    "chains": chains.measure,
    "scale": scale.measure,
    "disk": disk.measure,
    "external": external.measure,
    "sandbox": sandbox.measure,
    "planning": planning.measure,
    "recovery": recovery.measure,
    "crowd": crowd.measure,
    "daemon": daemon.measure,
    "socket": socket.measure,
    "client": client.measure,
    "peers": contest.measure,
}
