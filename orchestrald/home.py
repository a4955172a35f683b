"""Whose home is this, and is it ours alone?

Rules of this file:

- The lock is an flock held for the daemon's life. The kernel lets go of it however we die; no pid in a file is trusted.
- Folders are made with mode 0700. One that is there and open to others is refused, not mended: somebody chose that.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrald.errors import AlreadyRunning, ConfigError
from orchestrald.paths import Paths

PATIENCE_S = 0.5


def prepare(paths: Paths, *, passable: bool = False) -> None:
    """Make the folders that are missing. Raises ConfigError with the folder and the command that mends it.

    `passable`: programs run as another user (`sandbox.run_as`), who must pass through to what is theirs. Then
    folders may be 0711, which shows nobody what is in them.
    """
    _private(Path(paths.state_dir), passable=passable)
    _make(Path(paths.plugins_dir), passable=passable)
    for folder in (paths.config_dir, paths.playbooks_dir, paths.skills_dir, paths.log_dir):
        _make(Path(folder))


def _make(folder: Path, *, passable: bool = False) -> None:
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if passable:
                folder.chmod(0o711)
    except OSError as error:
        raise ConfigError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _private(folder: Path, *, passable: bool) -> None:
    _make(folder, passable=passable)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(f"The folder {folder} belongs to uid {found.st_uid}, not to us.")
    if stat.S_IMODE(found.st_mode) & (0o066 if passable else 0o077):
        raise ConfigError(f"The folder {folder} is open to others.", hint=f"chmod 700 {folder}")


@contextmanager
def lock(path: str) -> Iterator[None]:
    """Hold the home. Raises AlreadyRunning when another daemon does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    """A daemon that was killed while it started a program shares its lock with that child until the child's exec."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise AlreadyRunning from None
            time.sleep(0.02)
        else:
            return
