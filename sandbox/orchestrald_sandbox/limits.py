"""How much may one process of a command use?

By rlimits, set on the sandbox's first process while it waits at its door: everything inside inherits them, and
cannot raise them. Set there, the process count is the sandbox's own; outside it would be the whole user's.
What the processes use together no rlimit knows: `cgroups.py` and `usage.py` hold that.
"""

from __future__ import annotations

import resource

from .errors import Unavailable
from .policy import Limits

GRACE_SECONDS = 5  # between SIGXCPU and SIGKILL
MSGQUEUE = 12  # RLIMIT_MSGQUEUE of the kernel's asm-generic/resource.h; Python has no name for it


def rlimits(limits: Limits, *, processes: bool) -> dict[int, tuple[int, int]]:
    """Resource number to (soft, hard). With `processes` False the number of processes is left alone: outside a
    user namespace the kernel would count all that the user runs, the desktop included."""
    found = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (limits.open_files, limits.open_files),
        resource.RLIMIT_FSIZE: (limits.file_bytes, limits.file_bytes),
        resource.RLIMIT_AS: (limits.address_space_bytes, limits.address_space_bytes),
        resource.RLIMIT_CPU: (limits.cpu_seconds, limits.cpu_seconds + GRACE_SECONDS),
        resource.RLIMIT_MEMLOCK: (limits.locked_bytes, limits.locked_bytes),
        MSGQUEUE: (0, 0),
    }
    return found | ({resource.RLIMIT_NPROC: (limits.processes, limits.processes)} if processes else {})


def apply(pid: int, limits: Limits) -> None:
    """Set them on a sandbox's first process. ProcessLookupError: it is gone. Unavailable: it is another user's."""
    for number, (soft, hard) in rlimits(limits, processes=True).items():
        try:
            resource.prlimit(pid, number, _within(pid, number, soft, hard))
        except PermissionError:
            raise Unavailable(
                "the limits of a sandboxed process cannot be set", "Give the daemon CAP_SYS_RESOURCE."
            ) from None


def _within(pid: int, number: int, soft: int, hard: int) -> tuple[int, int]:
    """A hard limit that is lower already (the daemon's own) stays: nobody but root may raise it."""
    _, most = resource.prlimit(pid, number)
    if most == resource.RLIM_INFINITY:
        return soft, hard
    return min(soft, most), min(hard, most)


def prlimit(limits: Limits, program: str, *, processes: bool) -> list[str]:
    """The same as words before a command, where nothing waits at a door (mode none) or the one who waits is another
    user's (run_as, whose limits only a daemon with CAP_SYS_RESOURCE could set)."""
    return [
        program, "--core=0", f"--nofile={limits.open_files}:{limits.open_files}",
        *([f"--nproc={limits.processes}:{limits.processes}"] if processes else []),
        f"--fsize={limits.file_bytes}", f"--as={limits.address_space_bytes}",
        f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + GRACE_SECONDS}",
        f"--memlock={limits.locked_bytes}", "--msgqueue=0", "--",
    ]  # fmt: skip
