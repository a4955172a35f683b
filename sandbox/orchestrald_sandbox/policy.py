"""What may a command touch?

Pure: no file, variable or clock is read here. Paths are judged as text (absolute, already resolved);
whether they exist, and are links, is asked where they are opened (`roots.py`, `protected.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Self, TypeVar

from .destinations import Destinations
from .errors import PolicyError


class Mode(StrEnum):
    """What the workspace is to the command. `none` is no sandbox at all: an operator's word, never a
    default."""

    NONE = "none"
    READ_ONLY = "read_only"
    WORKSPACE_WRITE = "workspace_write"


class Network(StrEnum):
    """`off` has a loopback of its own; `proxy` reaches a list of hosts; `host` shares the machine's
    network."""

    OFF = "off"
    PROXY = "proxy"
    HOST = "host"


class FsRead(StrEnum):
    """`minimal` shows /usr, a staged /etc and what is listed; `host` shows the whole disk minus what is
    masked."""

    MINIMAL = "minimal"
    HOST = "host"


class Backend(StrEnum):
    """Which mechanism confines. `auto` takes the platform's own, and is unavailable where there is none."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    SEATBELT = "seatbelt"
    NONE = "none"


Word = TypeVar("Word", Mode, Network, FsRead, Backend)


def parse(kind: type[Word], word: object, setting: str) -> Word:
    """The member of `kind` that `word` spells; PolicyError naming the allowed words otherwise.

    An unknown word must never mean a default: where a typing error in `read_onyl` turned into
    "none", plugins ran unconfined and nobody was told.
    """
    for member in kind:
        if word == member.value:
            return member
    raise PolicyError(f"{setting}: {word!r} is not one of {', '.join(member.value for member in kind)}")


# From the least that is allowed to the most. Tightening takes the smaller of two.
PERMISSIVENESS: dict[Mode | Network, int] = {
    Mode.READ_ONLY: 0, Mode.WORKSPACE_WRITE: 1, Mode.NONE: 2,
    Network.OFF: 0, Network.PROXY: 1, Network.HOST: 2,
}  # fmt: skip

# Names under a writable root that the person's own tools execute or obey later: git's hooks and settings,
# shell start-up files, editor and agent settings, package-manager settings, secrets in .env files.
PROTECTED = (
    ".git", ".env*", ".bashrc", ".bash_profile", ".profile", ".zshrc", ".zprofile", ".gitconfig",
    ".gitmodules", ".npmrc", ".mcp.json", ".vscode", ".idea", ".husky", ".githooks", ".claude", ".codex",
)  # fmt: skip

# What `fs_read: host` hides everywhere, besides what the installation adds (its own state, homes, sockets).
MASKED = ("/root", "/home", "/var/lib/docker")

# Never granted whole: the sandbox mounts its own there (the host's on top would undo that), or people live
# there.
TOO_WIDE = frozenset({
    "/", "/bin", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp",
    "/tmp/home", "/usr", "/var", "/var/lib", "/var/tmp",
})  # fmt: skip
KERNEL_TREES = ("/dev", "/proc", "/sys")


# What bwrap and a program that does nothing need.
LEAST = {"memory_bytes": 4 << 20, "address_space_bytes": 16 << 20, "open_files": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one command may use up. All are whole numbers above zero; sizes are bytes, CPU is seconds."""

    memory_bytes: int = 1 << 30  # of all processes together: by control group, or watched
    address_space_bytes: int = 4 << 30  # per process: RLIMIT_AS
    processes: int = 128
    cpu_percent: int = 100_000  # of one processor, all processes together; held only where there is a control group
    cpu_seconds: int = 60  # per process: RLIMIT_CPU; killed 5 s later where SIGXCPU is ignored
    open_files: int = 512
    file_bytes: int = 256 << 20  # the largest file that can be written
    locked_bytes: int = 64 << 10
    tmp_bytes: int = 64 << 20  # /tmp
    var_tmp_bytes: int = 16 << 20
    shm_bytes: int = 16 << 20  # /dev/shm
    workspace_bytes: int = 1 << 30  # written in one run to everything it may write
    workspace_files: int = 20_000  # made or changed in one run

    def __post_init__(self) -> None:
        for name, value in self.items():
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                raise PolicyError(f"limits.{name}: {value!r} is not a whole number above zero")
            if value < LEAST.get(name, 1):
                raise PolicyError(f"limits.{name}: {value} is less than a sandbox needs itself, {LEAST[name]}")

    def items(self) -> Iterable[tuple[str, int]]:
        return ((each.name, getattr(self, each.name)) for each in fields(self))

    def tightest(self, other: Limits) -> Limits:
        return Limits(**{name: min(value, getattr(other, name)) for name, value in self.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One command's grants, resolved for this disk. All paths are absolute and free of links and `..`.

    None and empty mean "nothing": no workspace, no extra root. Defaults are the strictest there are.
    """

    mode: Mode = Mode.READ_ONLY
    backend: Backend = Backend.AUTO
    fs_read: FsRead = FsRead.MINIMAL
    network: Network = Network.OFF
    destinations: tuple[Destinations, ...] = ()  # for network proxy: every list must allow; the first is the operator's
    unix_sockets: bool = False
    workspace: str | None = None
    parts: tuple[str, ...] = ()  # of the workspace, read-only: where a manifest wants less than all of it shown
    writable_roots: tuple[str, ...] = ()  # besides the workspace; read-only too in mode read_only
    read_roots: tuple[str, ...] = ()  # files or folders shown read-only at the same path
    plugin_dir: str | None = None  # always read-only
    scratch: str | None = None  # the run's own folder: writable in every mode
    cwd: str | None = None  # None: the workspace, else /tmp
    masked: tuple[str, ...] = ()  # hidden where they would otherwise be visible
    protected: tuple[str, ...] = PROTECTED  # see protected.py for what a name matches
    limits: Limits = field(default_factory=Limits)
    run_as: tuple[int, int] | None = None  # uid, gid; None: the daemon's own

    def __post_init__(self) -> None:
        if self.mode is not Mode.NONE and self.backend is Backend.NONE:
            raise PolicyError(f"sandbox.mode {self.mode} needs a backend, and sandbox.backend is none")
        if self.network is Network.PROXY and not (self.destinations and all(map(bool, self.destinations))):
            raise PolicyError("sandbox.network proxy needs destinations; without any the network is off")
        for path in self.paths():
            check_path(path)
        for path in (*self.roots(), *self.parts, *self.read_roots, *_some(self.plugin_dir, self.scratch)):
            if path in TOO_WIDE or beneath(path, *KERNEL_TREES):
                raise PolicyError(f"{path} is too wide to be granted; name a folder further down")
        if self.plugin_dir in self.writable():
            raise PolicyError(f"{self.plugin_dir}: a plugin's own folder cannot be writable to it")

    def roots(self) -> tuple[str, ...]:
        """The workspace and the extra roots, without repetition: what `mode` is about."""
        return tuple(dict.fromkeys((*_some(self.workspace), *self.writable_roots)))

    def writable(self) -> tuple[str, ...]:
        """Everything on the host's disk that the command can write to."""
        return (*(self.roots() if self.mode is Mode.WORKSPACE_WRITE else ()), *_some(self.scratch))

    def paths(self) -> tuple[str, ...]:
        single = _some(self.plugin_dir, self.scratch, self.cwd)
        return (*self.roots(), *self.parts, *self.read_roots, *single, *self.masked)

    def checked_roots(self) -> tuple[str, ...]:
        """What is opened, looked at and mounted by that descriptor: folders that a run could have swapped."""
        return tuple(dict.fromkeys((*self.roots(), *self.parts, *_some(self.plugin_dir, self.scratch))))

    def reading(self, paths: Iterable[str]) -> Self:
        """The same with more read-only paths, such as an interpreter's prefix."""
        return replace(self, read_roots=tuple(dict.fromkeys((*self.read_roots, *paths))))

    def checked(self, *, private: Iterable[str], own: Iterable[str] = ()) -> Self:
        """This policy, or PolicyError if anything it shows equals or contains one of `private`.

        `private` is the real home folder, the daemon's state, configuration and socket folders. A folder
        *beneath* one of them is fine (a workspace in the home is the usual case), unless it is one of `own`, the
        daemon's: what lies there belongs to other runs. This also holds for
        read-only paths: a socket answers `connect` through a read-only mount.
        """
        mine = tuple(own)
        for root in (*self.roots(), *self.parts):
            if root in mine or beneath(root, *mine):
                raise PolicyError(f"{root} belongs to the daemon itself; work in another folder")
        for secret in private:
            for root in (*self.checked_roots(), *self.read_roots):
                if root == secret or beneath(secret, root):
                    raise PolicyError(f"{root}: would show {secret} to a plugin; name a folder further down")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a manifest or a plan asks for. None: nothing is asked, the operator's word stands."""

    mode: Mode | None = None
    network: Network | None = None
    destinations: Destinations | None = None  # of network proxy
    unix_sockets: bool | None = None
    limits: Limits | None = None
    protected: tuple[str, ...] = ()  # besides the operator's


def tighten(operator: Policy, requested: Request) -> Policy:
    """The operator's policy, narrowed by a request, which may come from a stranger or a model.

    For mode, network, destinations, sockets and each limit the stricter of both is taken, so asking for more is not an
    error and has no effect (`refused` tells what was not given). Paths, backend, `fs_read` and `run_as`
    cannot be asked for. PolicyError: a sandbox is asked for where the operator has set the backend to none.
    """
    network = min(operator.network, requested.network or operator.network, key=PERMISSIVENESS.__getitem__)
    asked = () if requested.destinations is None else (requested.destinations,)
    destinations = tuple(dict.fromkeys((*operator.destinations, *asked)))
    if network is Network.PROXY and not (destinations and all(map(bool, destinations))):
        network = Network.OFF
    return replace(
        operator,
        mode=min(operator.mode, requested.mode or operator.mode, key=PERMISSIVENESS.__getitem__),
        network=network,
        destinations=destinations if network is Network.PROXY else (),
        unix_sockets=operator.unix_sockets and requested.unix_sockets is not False,
        limits=operator.limits.tightest(requested.limits or operator.limits),
        protected=tuple(dict.fromkeys((*operator.protected, *requested.protected))),
    )


def refused(operator: Policy, requested: Request) -> tuple[str, ...]:
    """What was asked for and not given, in words; empty when all was given. Limits are not counted."""
    told: list[str] = []
    for name, granted, asked in (
        ("mode", operator.mode, requested.mode),
        ("network", operator.network, requested.network),
    ):
        if asked is not None and PERMISSIVENESS[asked] > PERMISSIVENESS[granted]:
            told.append(f"{name} {asked.value} was asked for, {granted.value} is granted")
    if requested.unix_sockets and not operator.unix_sockets:
        told.append("unix_sockets was asked for, and is not granted")
    return tuple(told)


def check_path(path: str) -> None:
    """PolicyError unless `path` is absolute, in its shortest spelling, and can be passed to a program."""
    if "\0" in path or not path.startswith("/") or path.startswith("//"):
        raise PolicyError(f"{path!r} is not an absolute path")
    if ".." in path.split("/") or str(PurePosixPath(path)) != path:
        raise PolicyError(f"{path!r} is not in its shortest form: no '..', no '.', no doubled or final '/'")


def beneath(path: str, *roots: str) -> bool:
    """Is `path` strictly inside one of `roots`? By text: "/a/bc" is not beneath "/a/b"."""
    return any(path.startswith(root.rstrip("/") + "/") and path != root for root in roots)


def depth(path: str) -> int:
    return path.rstrip("/").count("/")


def _some(*values: str | None) -> tuple[str, ...]:
    return tuple(value for value in values if value is not None)
