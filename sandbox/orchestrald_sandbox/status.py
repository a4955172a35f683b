"""Did the command run, and which process is it?

bwrap's own exit code cannot tell: it is 1 when the set-up failed, and 1 when the command ended with 1. What
it writes to the status pipe can.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """`child` is the sandbox's first process as the host sees it: killing it ends everything inside.

    `exit_code` is there once the command has ended, killed ones included (128 + the signal). If it is
    missing at the end of the pipe, the sandbox was not set up and the command did not run: bwrap's stderr
    says why.
    """

    child: int | None = None
    exit_code: int | None = None

    @property
    def ran(self) -> bool:
        return self.exit_code is not None


def read(written: bytes) -> Status:
    """All that came through `Prepared.status_read_fd` so far. An unfinished or odd line counts as not
    written."""
    found: dict[str, int] = {}
    for line in written.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            found |= {name: value for name, value in values.items() if isinstance(value, int)}
    return Status(child=found.get("child-pid"), exit_code=found.get("exit-code"))
