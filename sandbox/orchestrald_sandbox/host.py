"""What can this machine do, and which bwrap is to be trusted with it?

Asked once at start; the answer (`Host`) is a value and is good until the machine restarts or bwrap is
replaced.
"""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from . import etc, seccomp
from .bubblewrap import Host
from .errors import Unavailable
from .policy import Backend, Mode, Policy, beneath

SEARCHED = "/usr/bin:/usr/local/bin:/bin:/run/current-system/sw/bin"
ROOT_ENTRIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
INSTALL = "Install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)."


def backend_of(policy: Policy) -> Backend:
    """What confines under this policy here: never `auto`."""
    if policy.mode is Mode.NONE:
        return Backend.NONE
    if policy.backend is Backend.AUTO:
        return Backend.SEATBELT if sys.platform == "darwin" else Backend.BUBBLEWRAP
    return policy.backend


def find_bwrap(configured: str | None = None, *, untrusted: Iterable[str] = ()) -> str:
    """The absolute, link-free path of bwrap. Unavailable if there is none, or if anybody but root and this
    user could have put it there; `untrusted` are folders a plugin can write to.

    The PATH variable is not asked: it may hold a folder of the project at hand.
    """
    found = configured or shutil.which("bwrap", path=SEARCHED)
    if not found or not os.path.isabs(found):
        raise Unavailable(f"{found} is not absolute" if found else "bwrap (bubblewrap) is not installed", INSTALL)
    real = os.path.realpath(found)
    if beneath(real, *untrusted):
        raise Unavailable(f"{real} lies where plugins can write", "Point sandbox.bwrap to the system's own.")
    for path in (real, os.path.dirname(real)):
        try:
            about = os.stat(path)
        except OSError as error:
            raise Unavailable(f"{found}: {error.strerror}", INSTALL) from None
        sticky = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
        if about.st_uid not in (0, os.geteuid()) or (about.st_mode & 0o022 and not sticky):
            raise Unavailable(f"{path} can be replaced by other users", "chown root and chmod go-w it.")
    if not os.access(real, os.X_OK):
        raise Unavailable(f"{real} cannot be executed", INSTALL)
    return real


def find_prlimit() -> str | None:
    return shutil.which("prlimit", path=SEARCHED)


def inspect(state: Path, *, bwrap: str | None = None, users: etc.Users = (), untrusted: Iterable[str] = ()) -> Host:
    """Facts about this machine; stages /etc beneath `state` (which must exist). Unavailable with a reason.

    `users` are the (uid, gid) pairs of run_as, if it is used: each must be able to pass through `state`.
    """
    if sys.platform != "linux":
        raise Unavailable(f"bubblewrap does not run on {sys.platform}", "It needs Linux.")
    arch = os.uname().machine
    seccomp.program(arch, unix_sockets=False)
    path = find_bwrap(bwrap, untrusted=untrusted)
    prlimit = find_prlimit()
    if prlimit is None:
        raise Unavailable("prlimit is not installed", "It belongs to util-linux.")
    about = os.stat(path)
    users = tuple(dict.fromkeys(((os.getuid(), os.getgid()), *users)))
    resolv = os.path.realpath("/etc/resolv.conf")
    return Host(
        bwrap=path, prlimit=prlimit, arch=arch, uid=os.getuid(), etc=str(etc.stage(state, users=users)),
        root_links=_root_links(), has_bind_fd=_has_bind_fd(path, about.st_mtime_ns, about.st_ino),
        setpriv=shutil.which("setpriv", path=SEARCHED),
        resolv_conf=resolv if os.path.isfile(resolv) else None,
    )  # fmt: skip


def weaker(host: Host, policy: Policy) -> tuple[str, ...]:
    """What holds less than it could here, in words for `doctor`; empty when nothing does."""
    told: list[str] = []
    if host.uid == 0 and policy.run_as is None:
        told.append(
            "plugins run as uid 0: files of root are readable where they are shown, and processes are not counted by "
            "rlimit; set sandbox.run_as"
        )
    if not host.has_bind_fd:
        told.append("this bwrap has no --bind-fd: a folder replaced just then is noticed only after the start")
    if policy.fs_read.value == "host":
        told.append("fs_read is host: everything on the disk that is not masked can be read")
    if policy.network.value == "host":
        told.append("network is host: every service of this machine and its network can be reached")
    if policy.unix_sockets:
        told.append("unix_sockets are granted: any socket below a shown folder can be connected to")
    return tuple(told)


def _root_links() -> tuple[tuple[str, str | None], ...]:
    found: list[tuple[str, str | None]] = []
    for path in ROOT_ENTRIES:
        if os.path.islink(path):
            # Relative, whatever the host has: bwrap resolves an absolute link while "/" is not yet the new
            # root.
            found.append((path, os.path.realpath(path).lstrip("/")))
        elif os.path.isdir(path):
            found.append((path, None))
    return tuple(found)


@functools.cache
def _has_bind_fd(bwrap: str, mtime_ns: int, inode: int) -> bool:
    """By the help text: distributions have brought the option to versions before the one it appeared in."""
    try:
        help_text = subprocess.run(
            [bwrap, "--help"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL, env={}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{bwrap} does not answer: {error}", INSTALL) from None
    text = help_text.stdout + help_text.stderr
    if b"--disable-userns" not in text:
        raise Unavailable(f"{bwrap} is older than 0.8", "Install bubblewrap 0.8 or later.")
    return b"--bind-fd" in text and b"--ro-bind-fd" in text
