"""Who is at the other end of a Unix socket?

Linux: SO_PEERCRED, as it was when the client connected. macOS: LOCAL_PEERCRED for the uid and LOCAL_PEERPID for the
pid, which is what getpeereid(3) reads and needs no ctypes (written from its manual, not tried on a Mac yet). Anywhere
else nobody can be told apart, and all are refused.
"""

import socket
import struct
import sys
from typing import NamedTuple

import trio

_UCRED = struct.Struct("3i")  # pid, uid, gid
_XUCRED = struct.Struct("2I")  # cr_version, cr_uid; the groups that follow are not read
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_LOCAL_PEERPID = 2


class Credentials(NamedTuple):
    """`pid` 0 means that the kernel did not say."""

    uid: int
    pid: int


def credentials(sock: socket.socket | trio.socket.SocketType) -> Credentials:
    """Raises OSError when the platform cannot tell."""
    if sys.platform == "linux":
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return Credentials(uid, pid)
    if sys.platform == "darwin":
        return _darwin(sock)
    raise OSError(f"{sys.platform} has no peer credentials that we know of")


def _darwin(sock: socket.socket | trio.socket.SocketType) -> Credentials:
    _, uid = _XUCRED.unpack(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)[: _XUCRED.size])
    try:
        pid = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
    except OSError:
        pid = 0  # the peer has already gone; its uid still decides
    return Credentials(uid, pid)
