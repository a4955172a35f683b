"""Where does an attempt keep its files, and how do they go away again?"""

import contextlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import trio

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REMOVING = ".removing-"
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
    """Whatever a program has made of it: folders without permissions, and nested deeper than any recursion or path
    may be. Each folder that is found is first moved up beside the outermost, so that nothing is ever two levels down.
    """
    with contextlib.suppress(OSError):
        parent = os.open(os.path.dirname(path), _FOLDER)
        try:
            waiting = [os.path.basename(path)]
            while waiting:
                name = waiting.pop()
                waiting += _emptied(parent, name)
                with contextlib.suppress(OSError):
                    os.rmdir(name, dir_fd=parent)
        finally:
            os.close(parent)


def _emptied(parent: int, name: str) -> list[str]:
    """Remove the folder's files, and move its folders up into `parent`; their names there."""
    moved: list[str] = []
    with contextlib.suppress(OSError):
        _permit(parent, name)
        folder = os.open(name, _FOLDER, dir_fd=parent)
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for inner, is_folder in found:
                with contextlib.suppress(OSError):
                    if not is_folder:
                        os.unlink(inner, dir_fd=folder)
                        continue
                    _permit(folder, inner)  # to move a folder, its ".." must be written
                    beside = f"{_REMOVING}{secrets.token_hex(8)}"
                    os.rename(inner, beside, src_dir_fd=folder, dst_dir_fd=parent)
                    moved.append(beside)
        finally:
            os.close(folder)
    return moved


def _permit(parent: int, name: str) -> None:
    """Without following a link: by a descriptor that leads to the folder and needs no permission on it."""
    if hasattr(os, "O_PATH"):
        descriptor = os.open(name, _FOLDER | os.O_PATH, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
        finally:
            os.close(descriptor)
    else:
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
