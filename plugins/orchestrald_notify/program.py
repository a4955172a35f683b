"""How does a program of the operator's get a notice? As one JSON line on its standard input: never as an argument."""

import dataclasses
import json
import subprocess
from collections.abc import Sequence

import trio

from orchestrald.hookspecs import ActionError, Notice, Notifier


def tell_program(command: Sequence[str]) -> Notifier:
    async def to_a_program(notice: Notice) -> None:
        line = json.dumps(dataclasses.asdict(notice)) + "\n"
        done = await trio.run_process(
            list(command), stdin=line.encode(), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if done.returncode:
            raise ActionError(f"{command[0]} ended with status {done.returncode}")

    return to_a_program
