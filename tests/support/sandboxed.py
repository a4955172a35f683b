"""What does whoever starts a sandbox do, before its command runs?"""

from __future__ import annotations

import os

from orchestrald_sandbox import Prepared, cgroups, status


def let_in(prepared: Prepared, group: cgroups.Group | None = None) -> bytes:
    """Wait for the sandbox's first process, give it its limits, let the command run; what was read of the status."""
    assert prepared.status_read_fd is not None
    written = b""
    while (child := status.read(written).child) is None:
        part = os.read(prepared.status_read_fd, 4096)
        if not part:
            return written
        written += part
    prepared.limit(child, group)
    prepared.release()
    return written
