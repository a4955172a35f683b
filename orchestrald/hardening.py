"""What does the daemon do to itself, before it does anything for others?

It holds what its plugins must not have: variables with keys, the journal, open connections. So no core of it is
written, no other process of the same user may look into it, files that it makes are its own, and no descriptor that
it was started with reaches a child.
"""

import contextlib
import ctypes
import os
import resource
import sys

PR_SET_DUMPABLE = 4


def harden() -> None:
    """Before the first file is made and the first child started. What this system does not have is passed over."""
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    # A program takes seven descriptors, a proxied one up to a hundred. 1024, the usual soft limit, is for select(2).
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sys.platform == "linux" and soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.platform == "linux":
        # Else any process of this user can read our memory and environment by ptrace or /proc.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing's own is gone by now
            if int(name) > 2:
                os.set_inheritable(int(name), False)
