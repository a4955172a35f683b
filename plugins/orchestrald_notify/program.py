"""How does a program of the operator's get a notice? As one JSON line on its standard input: never as an argument."""

import dataclasses
import json
from collections.abc import Sequence

from orchestrald.hookspecs import Notice, Notifier
from orchestrald_notify.spawn import run


def tell_program(command: Sequence[str]) -> Notifier:
    async def to_a_program(notice: Notice) -> None:
        await run(command, json.dumps(dataclasses.asdict(notice)).encode() + b"\n")

    return to_a_program
