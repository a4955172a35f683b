"""What makes a file survive a power loss, and private?

A file's content and its name are two facts: the content is safe after its own fsync, the name after its folder's.
"""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """The folder, 0700, with the parents that are missing. An existing folder keeps its mode: it is the owner's."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def make_file(path: Path) -> None:
    """An empty file, 0600, unless it exists: then it is only made private. SQLite keeps the mode for its -wal."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def publish(temporary: Path, final: Path) -> None:
    """Give a written file its name, so that after a power loss the name holds the whole content or does not exist."""
    sync_file(temporary)
    temporary.replace(final)
    sync_folder(final.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
