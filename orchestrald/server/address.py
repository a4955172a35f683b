"""Where is the socket, and is it still ours?

Rules of this file:

- Filesystem sockets only: abstract names ignore mount namespaces, so a sandboxed step could reach them.
- The caller holds the home's lock. A leftover socket file is therefore nobody's, unless two homes were configured to
  share one path: that is asked by connecting, never assumed.
- A socket file is removed only while its device and inode are those that we made.
"""

import contextlib
import errno
import os
import socket
import stat

from orchestrald.errors import AlreadyRunning, ConfigError

MAX_PATH_BYTES = 103
"""sun_path holds 104 bytes on macOS and 108 on Linux, a final NUL included: what works here must work there."""

BACKLOG = 1024
"""More than the connections ever served: the others are refused in words rather than by a full queue."""


class Address:
    """A listening socket in the filesystem. `listener` is the caller's to close; `remove` takes its name away."""

    def __init__(self, path: str, listener: socket.socket) -> None:
        self.path = path
        self.listener = listener
        self._made = _identity(path)

    def remove(self) -> bool:
        """Unlinks the socket file if it is still ours; whether it was. Never raises for a file that has gone."""
        with contextlib.suppress(FileNotFoundError):
            if _identity(self.path) == self._made:
                os.unlink(self.path)
                return True
        return False


def bind(path: str) -> Address:
    """A socket, listening at `path`, that only our own user can reach: mode 0600 in a folder of mode 0700.

    The folder is made if it is missing; a folder that others may enter or that is not ours is refused, not mended,
    since it may be somebody's home. Raises ConfigError for what the operator must change, AlreadyRunning when
    somebody answers at `path`.
    """
    path = os.path.abspath(path)
    size = len(os.fsencode(path))
    if size > MAX_PATH_BYTES:
        raise ConfigError(
            f"The socket's path is {size} bytes long; {MAX_PATH_BYTES} is the limit: {path}",
            hint="Set ORCHESTRAL_HOME or XDG_RUNTIME_DIR to a shorter folder.",
        )
    _own_folder(os.path.dirname(path))
    _clear_leftover(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The umask rather than a chmod afterwards: there must be no moment at which others could connect.
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        return Address(path, listener)
    except OSError as e:
        listener.close()
        raise ConfigError(f"The socket {path} cannot be made: {e.strerror}.") from e


def adopt(listener: socket.socket) -> socket.socket:
    """An already listening socket that was passed to us, checked. Its name is the passer's: it is never unlinked."""
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM or not listening:
        raise ConfigError("The socket that was passed is not a listening Unix stream socket.")
    if not listener.getsockname() or listener.getsockname()[:1] in ("\0", b"\0"):
        raise ConfigError("The socket that was passed has no name in the filesystem.")
    return listener


def _own_folder(folder: str) -> None:
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.stat(folder)
    except OSError as e:
        raise ConfigError(f"The socket's folder {folder} cannot be made: {e.strerror}.") from e
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"The socket's folder {folder} is not a folder.")
    if found.st_uid != os.geteuid():
        raise ConfigError(f"The socket's folder {folder} belongs to uid {found.st_uid}, not to us.")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(
            f"The socket's folder {folder} is open to others (mode {mode:04o}).",
            hint=f"chmod 700 {folder}, or choose another folder.",
        )


def _clear_leftover(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is in the way: it is not a socket, so it is left alone.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Not blocking: a listener whose queue is full answers EAGAIN, and must not hold us up.
        probe.setblocking(False)
        answered = probe.connect_ex(path) in (0, errno.EAGAIN)
    if answered:
        raise AlreadyRunning(f"Somebody already listens at {path}.")
    os.unlink(path)


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
