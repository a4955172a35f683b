"""How does a sandbox wait before its command runs, and what if nobody comes?

bwrap reads a file of ours into the new root (`--file`), and reads to the file's end: until then everything is unshared
and nothing is executed. Meanwhile the sandbox gets its limits, enters its control group, and where it has a proxy, is
given the listening socket. Without a door the command would be running when the first of these is done; and a program
that sets limits and then executes the command costs a third of bwrap's own time.

It fails closed. The file is a socket, with a byte in it that is never read on our side: when we are killed, the kernel
gives the other side an error in place of an end (ECONNRESET, see unix_release_sock), and bwrap gives up. bwrap has
--block-fd for waiting, but takes whatever ends the wait for the signal to go on.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

PLACE = "/dev/shm/door"  # covered a moment later by the mount over /dev/shm


@dataclass(slots=True)
class Door:
    """`inner` is bwrap's descriptor, `outer` our side; both close-on-exec."""

    inner: int
    outer: socket.socket

    @classmethod
    def make(cls) -> Door:
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        return cls(theirs.detach(), ours)

    def open(self) -> None:
        """The command may run. Again is fine; so is a sandbox that is gone."""
        with suppress(OSError):
            self.outer.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Not opened before, what waits there gives up. Again is fine."""
        self.outer.close()
