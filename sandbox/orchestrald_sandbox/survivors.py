"""What has outlived whoever started it?

A sandbox dies with the daemon, but not in the two milliseconds of its own set-up, before bwrap has told the kernel so;
and in mode none there is nothing that a child could not leave behind with setsid. So every command is started with the
name of its run's own folder in its environment, and what still has it there is found by that. A process can be given
another environment by the one before it: in mode none, one that wants to stay can.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

VARIABLE = "ORCHESTRAL_SCRATCH"
MOST_ROUNDS = 20


def find(folder: str) -> tuple[int, ...]:
    """Processes whose start environment names `folder` or something in it; those that cannot be read are not ours."""
    marks = _marks(folder)
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()] if os.path.isdir("/proc") else []
    return tuple(pid for pid in pids if pid != os.getpid() and _named(pid, marks))


def _marks(folder: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(f"\0{VARIABLE}={folder}{end}") for end in ("/", "\0"))


def _named(pid: int, marks: tuple[bytes, ...]) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            start = b"\0" + file.read() + b"\0"
    except OSError:
        return False
    return any(mark in start for mark in marks)


def end(folder: str) -> int:
    """Kill them all, and what they make meanwhile; how many there were. Blocks, for some milliseconds."""
    killed: set[int] = set()
    for _ in range(MOST_ROUNDS):
        there = [pid for pid in find(folder) if pid not in killed]
        if not there:
            break
        for pid in there:
            _kill(pid, folder)
            killed.add(pid)
    return len(killed)


def _kill(pid: int, folder: str) -> None:
    """By a descriptor, looked at again: the number may be another's by now."""
    with suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            if _named(pid, _marks(folder)):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)
