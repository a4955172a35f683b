"""Where does an attempt keep its files, and how do they go away again?"""

import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import trio

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@contextlib.asynccontextmanager
async def scratch_folder(root: Path, name: str, owner: tuple[int, int] | None = None) -> AsyncIterator[str]:
    """A folder `name` beneath `root`, 0700, removed with all that is in it. One left by a crash is emptied first.

    `owner` is the (uid, gid) that the attempt runs as, missing for the daemon's own.
    """
    path = make(root, name, owner)
    try:
        yield path
    finally:
        await remove(path)


def make(root: Path, name: str, owner: tuple[int, int] | None = None) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be the name of a folder")
    path = os.path.join(os.path.realpath(root), name)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        _remove(path)
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        os.makedirs(path, 0o700)
    if owner is not None:
        os.chown(path, *owner)
    return path


async def remove(path: str) -> None:
    """Returns when it is gone, also when cancelled. What cannot be removed is left: the next start sweeps."""
    try:
        os.rmdir(path)  # the usual case is empty, and a thread would cost more than the whole removal
    except OSError:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_remove, path)


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        # A program took away its own folders' permissions. os.walk does not follow links.
        for folder, names, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
            for name in names:
                inner = os.path.join(folder, name)
                if not os.path.islink(inner):
                    with contextlib.suppress(OSError):
                        os.chmod(inner, 0o700)
        shutil.rmtree(path, ignore_errors=True)
