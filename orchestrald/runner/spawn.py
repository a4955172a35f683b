"""How does a program start, and what tells that it has ended?

Rules of this file:

- A program is spawned with `subprocess.Popen` in the trio thread. `trio.run_process` spawns from a worker thread, and
  bwrap's --die-with-parent is tied to the thread that forked: trio retires idle workers after ten seconds, and the
  kernel then kills the plugin. The call takes 0.2 to 2 ms.
- Nothing that makes Popen fork instead of vfork (`preexec_fn`, `user`, `group`, `extra_groups`): 10 ms at 300 MB.
"""

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import trio

NICENESS = 10
"""Without it sixteen busy plugins delay the daemon's loop by 50 to 70 ms, with it by 16 to 22."""

BUSY_RETRIES = 10
BUSY_PAUSE = 0.05
"""A file still open for writing elsewhere, as when a plugin is just being copied, cannot be executed for a moment."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """What the caller knows of the sandbox around a program.

    `status_fd` is the reading end of bwrap's --json-status-fd, read here and the caller's to close. `first_process`
    finds, in what was read, the process whose death ends all others inside (in our numbering; None: not told yet).
    `admit` is called with it, once, while the sandbox waits for the caller to let its command run; what it raises ends
    the run. `withdraw` is called when the run is to end: nobody is let in any more. `too_much` says of it what it has
    used too much of, `memory`, `processes` or `disk`, empty when nothing; it is called in a thread, several times a
    second.
    """

    status_fd: int
    first_process: Callable[[bytes], int | None]
    admit: Callable[[int], None]
    withdraw: Callable[[], None]
    too_much: Callable[[int], Literal["", "memory", "processes", "disk"]]


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `env` is the whole environment. `cwd` missing: the daemon's. Empty `stdin`: /dev/null.

    `started` is called once the program runs: what was opened only for it can be closed. `enclosure` missing means
    that there is no sandbox around it. `around` is what the thread is in while it starts it, as a control group.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None
    stdin: bytes = b""
    pass_fds: Sequence[int] = ()
    started: Callable[[], None] | None = None
    enclosure: Enclosure | None = None
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


async def spawn(program: Program) -> "subprocess.Popen[bytes]":
    """Start it, in a session of its own and at a lower priority. OSError: it cannot be started."""
    for attempt in range(BUSY_RETRIES + 1):
        popen = None
        try:
            with program.around():
                popen = subprocess.Popen(  # noqa: ASYNC220, S603  in this very thread: see the rules of this file
                    program.argv,
                    bufsize=0,
                    stdin=subprocess.PIPE if program.stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=program.env,
                    cwd=program.cwd,
                    pass_fds=program.pass_fds,
                    start_new_session=True,
                )
        except OSError as error:
            if popen is not None:
                popen.kill()  # it started, and this thread could not come back from where it started it
            if error.errno != errno.ETXTBSY or attempt == BUSY_RETRIES:
                raise
            await trio.sleep(BUSY_PAUSE)
        else:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PGRP, popen.pid, NICENESS)
            return popen
    raise AssertionError("the last attempt returns or raises")


def exit_descriptor(popen: "subprocess.Popen[bytes]") -> int:
    """A descriptor that becomes readable when the process has ended (it is left unreaped where that is possible)."""
    if sys.platform == "linux":
        return os.pidfd_open(popen.pid)
    return _exit_pipe(popen)


def _exit_pipe(popen: "subprocess.Popen[bytes]") -> int:
    """For macOS, which has no pidfd: a thread waits in the kernel and closes a pipe. Nothing polls.

    The thread reaps, since `waitid` is missing there before Python 3.13. The group's number may then be given away
    between its last member's death and our last signal to it; the kernel would have to wrap around its pids for that.
    """
    reading, writing = os.pipe()

    def wait() -> None:
        popen.wait()
        os.close(writing)

    threading.Thread(target=wait, daemon=True, name=f"wait-{popen.pid}").start()
    return reading
