"""How does a short program run beside the daemon, and end with whoever waits for it?"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

import trio

from orchestrald.hookspecs import ActionError


async def run(command: Sequence[str], stdin: bytes = b"") -> None:
    """Run it to its end; when cancelled, kill it with all that it started. What it prints is nobody's.

    Raises OSError when it cannot be started, and ActionError when it fails.
    """
    process = subprocess.Popen(  # noqa: S603, ASYNC220 -- vfork takes no time, and the command is the operator's
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await trio.to_thread.run_sync(process.communicate, stdin, abandon_on_cancel=True)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise ActionError(f"{command[0]} ended with status {process.returncode}")
