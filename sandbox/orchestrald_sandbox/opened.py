"""Which descriptor is handed over for a path, and did a link lead there?

A path is a promise of whoever could last change a folder on the way; a descriptor is the thing itself.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import PurePosixPath

from .errors import PolicyError, Unavailable


def open_checked(path: str, *, folder: bool) -> int:
    """An O_PATH descriptor of exactly `path`. The kernel is asked afterwards where the descriptor leads, so
    a link anywhere on the way is noticed, whenever it was put there."""
    try:
        # macOS has no O_PATH; there a FIFO must not make us wait for its writer.
        how = os.O_PATH if sys.platform == "linux" else os.O_RDONLY | os.O_NONBLOCK
        descriptor = os.open(path, how | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from None
    kind = os.fstat(descriptor).st_mode
    real = _leads_to(descriptor)
    problem = None
    if stat.S_ISLNK(kind) or real != path:
        problem = f"is or leads through a link; its real path is {os.path.realpath(path)}"
    elif folder and not stat.S_ISDIR(kind):
        problem = "is not a folder"
    if problem is not None:
        os.close(descriptor)
        raise PolicyError(f"{path} {problem}")
    return descriptor


def open_any(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from None


def _leads_to(descriptor: int) -> str:
    if sys.platform == "linux":
        return os.readlink(f"/proc/self/fd/{descriptor}")
    # F_GETPATH also spells the path in the disk's own upper and lower case, as Seatbelt compares it.
    return os.fsdecode(fcntl.fcntl(descriptor, 50, bytes(1024)).rstrip(b"\0"))


def check_passable(path: str, uid: int, gid: int) -> None:
    """bwrap looks every path up as the user that it runs as, also one that it is given a descriptor of."""
    for parent in reversed(PurePosixPath(path).parents):
        about = os.stat(parent)
        needed = 0o100 if about.st_uid == uid else 0o010 if about.st_gid == gid else 0o001
        if not about.st_mode & needed:
            raise Unavailable(
                f"uid {uid} of sandbox.run_as cannot pass through {parent}",
                f"chmod o+x {parent} (nobody can list it by that), or unset sandbox.run_as.",
            )


def existing_masks(masked: Sequence[str]) -> dict[str, bool]:
    """What is to be hidden and exists: real path to "is it a folder"."""
    real = dict.fromkeys(os.path.realpath(path) for path in masked)
    return {path: os.path.isdir(path) for path in real if os.path.exists(path)}


def in_memory(content: bytes) -> int:
    """A descriptor to read `content` from, once: bwrap reads it to its end, and copies share the position."""
    descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    if content:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
