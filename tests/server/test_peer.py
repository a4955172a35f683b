"""Is it known who is at the other end?"""

import os
import socket

from orchestrald.server.peer import credentials


def test_the_peer_is_the_process_and_user_that_connected() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert credentials(ours) == (os.geteuid(), os.getpid())
