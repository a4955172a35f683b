"""How does a sandbox without a network get a way to the proxy?

By a listening socket inside its network namespace that is held outside of it. A process of ours joins the namespace
while the sandbox waits at its door, makes the socket, hands it over and ends. So nothing of ours runs inside, no socket
file is shown, and the filter stays as strict as without a network: a bridge inside would need AF_UNIX, and a second
filter laid over the first before the command may run.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable

from .destinations import Destinations
from .errors import Unavailable

HOST, PORT = "127.0.0.1", 3128
SECONDS = 10.0

# Run in a process of its own, since joining a user namespace needs one without threads, and there is no way back. The
# namespace that owns the network is asked for: with --disable-userns the sandbox's own is one further in.
SCRIPT = """
import ctypes, fcntl, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
NS_GET_USERNS = 0xB701
network = os.open("/proc/%s/ns/net" % sys.argv[1], os.O_RDONLY)
owner = fcntl.ioctl(network, NS_GET_USERNS)
for namespace in (owner, network):
    if libc.setns(namespace, 0) != 0:
        error = ctypes.get_errno()
        sys.exit("setns: " + os.strerror(error))
listener = socket.create_server((sys.argv[2], int(sys.argv[3])), backlog=64)
socket.send_fds(socket.socket(fileno=0), [b"x"], [listener.fileno()])
"""


def inside(first_process: int) -> socket.socket:
    """A socket that listens on 127.0.0.1:3128 within the sandbox of that process, which waits at its door. Blocks, for
    some 20 ms and at most 10 s. Unavailable: it cannot be had here."""
    try:
        return _inside(first_process)
    except OSError as error:
        raise Unavailable(f"the sandbox's network cannot be joined: {error.strerror}", "Try again later.") from None


def _inside(first_process: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", SCRIPT, str(first_process), HOST, str(PORT)],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={}, cwd="/",
            )  # fmt: skip
        try:
            _, complaints = process.communicate(timeout=SECONDS)
            # It has ended: what it has sent is here, and if it has sent nothing this is the end of the stream.
            _, found, _, _ = socket.recv_fds(ours, 1, 1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            complaints, found = b"it took too long", []
    if not found:
        said = complaints.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1][:200] if said else "no reason was given"
        raise Unavailable(f"the sandbox's network cannot be joined: {reason}", "Use network: off, or report it.")
    os.set_inheritable(found[0], False)
    return socket.socket(fileno=found[0])


def environment(lists: Iterable[Destinations]) -> dict[str, str]:
    """The variables that lead programs to the proxy. Node takes notice of them only when it is told to.

    What a program serves to itself on its own loopback does not go through it, unless the machine's is listed.
    """
    url = f"http://{HOST}:{PORT}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")
    listed = any(network.is_loopback for each in lists for network, _ in each.networks)
    around = "" if listed else "localhost,127.0.0.1,::1"
    return dict.fromkeys(names, url) | {"NO_PROXY": around, "no_proxy": around, "NODE_USE_ENV_PROXY": "1"}
