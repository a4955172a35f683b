"""A program that appends for ever and prints what was acknowledged: `test_crash` kills it.

Usage: appender.py STORE DURABILITY ROUND. Prints lines `seq round number`, each only after its append returned.
"""

import os
import sys
from pathlib import Path
from typing import Any, cast

import trio

from orchestrald.core.events import Event
from orchestrald.store.base import Batch, InteractionRow
from orchestrald.store.sqlite import Durability, Store, open_store

APPENDERS = 16


async def append_for_ever(store: Store, round_: int, first: int) -> None:
    number = first
    while True:
        data: dict[str, Any] = {"round": round_, "number": number}
        pair = [Event(type_, data, "t", f"i{first}") for type_ in ("step.succeeded", "step.started")]
        row = InteractionRow(f"i{first}", "t", "executing", "", "", "", "", 0, number, None, None, (), 0, 0)
        appended = await store.journal.append(Batch(pair, interaction=row))
        os.write(1, "".join(f"{event.seq} {round_} {number}\n" for event in appended).encode())
        number += APPENDERS


async def main() -> None:
    path, durability, round_ = sys.argv[1:]
    async with (
        open_store(Path(path), durability=cast("Durability", durability)) as store,
        trio.open_nursery() as nursery,
    ):
        for first in range(APPENDERS):
            nursery.start_soon(append_for_ever, store, int(round_), first)


if __name__ == "__main__":
    trio.run(main)
