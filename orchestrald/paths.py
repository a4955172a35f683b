"""Where on this machine do the configuration, the plugins, the store and the socket live?

Rules of this file:

- Only `os` and `sys` are imported: the thin client pays for this file on every call.
- Nothing is created and nothing is checked on disk; two programs with one environment get the same answer.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing would cost the client as much as the rest of a call
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SOCKET_BYTES = 103
"""`sun_path` holds 104 bytes on macOS and 108 on Linux, its closing zero included."""


class Paths:
    """The folders and files of one daemon. Immutable; two with the same folders are the same daemon's."""

    __slots__ = ("config_dir", "log_dir", "plugins_dir", "run_dir", "state_dir")

    config_dir: str
    plugins_dir: str
    state_dir: str
    run_dir: str
    log_dir: str

    def __init__(self, *, config_dir: str, plugins_dir: str, state_dir: str, run_dir: str, log_dir: str) -> None:
        for name, value in (
            ("config_dir", config_dir),
            ("plugins_dir", plugins_dir),
            ("state_dir", state_dir),
            ("run_dir", run_dir),
            ("log_dir", log_dir),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def find(cls, environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Paths:
        """`$ORCHESTRAL_HOME` with everything under it; without it, where the platform keeps such things.

        Empty variables count as missing, and so do relative `XDG_*` ones, as that specification asks.
        A relative ORCHESTRAL_HOME is taken from the current folder.
        """
        env = os.environ if environ is None else environ
        home = env.get("ORCHESTRAL_HOME", "")
        if home:
            return cls._under(os.path.abspath(os.path.expanduser(home)))
        user = env.get("HOME", "") or os.path.expanduser("~")
        if platform == "darwin":
            library = os.path.join(user, "Library")
            under = cls._under(os.path.join(library, "Application Support", "orchestrald"))
            return under._with_logs(os.path.join(library, "Logs", "orchestrald"))
        return cls._xdg(env, user)

    @classmethod
    def _under(cls, home: str) -> Paths:
        state = os.path.join(home, "state")
        return cls(
            config_dir=os.path.join(home, "config"),
            plugins_dir=os.path.join(home, "plugins"),
            state_dir=state,
            run_dir=os.path.join(home, "run"),
            log_dir=os.path.join(state, "logs"),
        )

    def _with_logs(self, log_dir: str) -> Paths:
        return Paths(
            config_dir=self.config_dir,
            plugins_dir=self.plugins_dir,
            state_dir=self.state_dir,
            run_dir=self.run_dir,
            log_dir=log_dir,
        )

    @classmethod
    def _xdg(cls, env: Mapping[str, str], user: str) -> Paths:
        def folder(variable: str, *default: str) -> str:
            given = env.get(variable, "")
            return os.path.join(given if os.path.isabs(given) else os.path.join(user, *default), "orchestrald")

        state = folder("XDG_STATE_HOME", ".local", "state")
        runtime = env.get("XDG_RUNTIME_DIR", "")
        return cls(
            config_dir=folder("XDG_CONFIG_HOME", ".config"),
            plugins_dir=os.path.join(folder("XDG_DATA_HOME", ".local", "share"), "plugins"),
            state_dir=state,
            # cron and su give no runtime folder: the state folder is private to the user as well
            run_dir=os.path.join(runtime, "orchestrald") if os.path.isabs(runtime) else os.path.join(state, "run"),
            log_dir=os.path.join(state, "logs"),
        )

    @property
    def config_file(self) -> str:
        return os.path.join(self.config_dir, "orchestral.yaml")

    @property
    def playbooks_dir(self) -> str:
        return os.path.join(self.config_dir, "playbooks")

    @property
    def skills_dir(self) -> str:
        return os.path.join(self.config_dir, "skills")

    @property
    def socket(self) -> str:
        return os.path.join(self.run_dir, "api.sock")

    @property
    def lock(self) -> str:
        """Held by the daemon for life. Beside the store, which is what it guards."""
        return os.path.join(self.state_dir, "orchestrald.lock")

    @property
    def store(self) -> str:
        return os.path.join(self.state_dir, "orchestrald.db")

    @property
    def references(self) -> str:
        return os.path.join(self.state_dir, "references")

    @property
    def endpoints(self) -> str:
        """What was learnt about the servers of models. It may be deleted: then they are tried out again."""
        return os.path.join(self.state_dir, "endpoints.json")

    @property
    def daemon_log(self) -> str:
        """What a daemon that a client started prints before its own log is open."""
        return os.path.join(self.log_dir, "daemon.log")

    @property
    def socket_problem(self) -> str:
        """Why no program can bind or reach `socket`, in words; empty when it can be used."""
        size = len(os.fsencode(self.socket))
        if size <= MAX_SOCKET_BYTES:
            return ""
        return (
            f"The socket's path has {size} bytes, and the system takes {MAX_SOCKET_BYTES}: {self.socket}. "
            "Set ORCHESTRAL_HOME (or XDG_RUNTIME_DIR) to a shorter path."
        )

    def items(self) -> Iterator[tuple[str, str]]:
        """Every name with its path, in the order in which a person looks for them."""
        for name in (
            "config_file",
            "playbooks_dir",
            "skills_dir",
            "plugins_dir",
            "state_dir",
            "store",
            "references",
            "log_dir",
            "run_dir",
            "socket",
            "lock",
        ):
            yield name, getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Paths is immutable: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Paths) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Paths(state_dir={self.state_dir!r}, socket={self.socket!r})"

    def _key(self) -> tuple[str, ...]:
        return (self.config_dir, self.plugins_dir, self.state_dir, self.run_dir, self.log_dir)
