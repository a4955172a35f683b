"""Which daemon does a row talk to: run by which user, and with which mechanisms taken away?

`Household` is a real daemon with all that there is to steal around it. A user without rights cannot pass through the
folders in which a developer's interpreter and checkout lie, so for that one they are mounted at places of the home, in
a mount namespace of the daemon's own.
"""

import os
import pty
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escape.grants import CHANGES, CONFIG, GRANTS
from support.daemon import PATIENCE_S, Daemon

if TYPE_CHECKING:
    from escape.host_side import Neighbourhood

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
BURGLAR = HERE / "burglar"
ROOT, NOBODY = "root", "nobody"
NOBODY_ID = 61234
"""A uid that no account has, so that nothing on the machine belongs to it."""

SERVE = "from orchestrald.command import main; main()"
SERVE_WITHOUT = "from escape import removal, removal_runner as own; removal.install(); own.install(); " + SERVE

SECRET = '{"exports": {"escaped": true, "evidence": "the secret of the house"}}'  # noqa: S105  a canary
"""Also a valid answer: a daemon that reads it in the place of one takes it for that."""
API_KEY = "sk-the-key-of-the-daemon"
SLEEP_S = 15
"""Longer than trio keeps an idle thread (10 s): what such a thread had started would be killed with it."""
AGENT = {"SSH_AUTH_SOCK": "/run/agent.sock", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus", "DISPLAY": ":0"}


def users() -> list[str]:
    """Whom this suite can be: root can be both, anybody else only the second."""
    return [ROOT, NOBODY] if os.getuid() == 0 else [NOBODY]


def ids(user: str) -> tuple[int, int]:
    if os.getuid() == 0:
        return (0, 0) if user == ROOT else (NOBODY_ID, NOBODY_ID)
    return os.getuid(), os.getgid()


@dataclass(frozen=True)
class Scene:
    """One run's places, by the names that the table uses in braces."""

    home: "Household"
    workspace: Path
    marker: str
    around: "Neighbourhood | None" = None
    kept: ExitStack = field(default_factory=ExitStack)

    @property
    def outside(self) -> Path:
        """A folder with a secret in it, which no run of this scene may touch."""
        return self.home.home / "outside" / self.workspace.name

    def places(self) -> dict[str, str]:
        home = self.home
        return {
            **({} if self.around is None else self.around.places()),
            "workspace": str(self.workspace), "outside": str(self.outside),
            "home": str(home.home), "user_home": str(home.user_home),
            "state": home.paths.state_dir, "socket": home.paths.socket, "config": home.paths.config_file,
            "plugins": home.paths.plugins_dir, "pid": str(home.pid), "marker": self.marker, "uid": str(home.uid),
        }  # fmt: skip


class Household(Daemon):
    """`user` runs it. With `removable`, `remove` says which mechanisms are gone, from the next run on."""

    def __init__(self, home: Path, user_home: Path, user: str, *, removable: bool, port: int) -> None:
        grants = "\n".join(f"    {name}: {grant}" for name, grant in GRANTS.items()).replace("PORT", str(port))
        super().__init__(home, f"{CONFIG}  grants:\n{grants}\n")
        self.user = user
        self.uid, self.gid = ids(user)
        self.user_home = user_home
        self.removable = removable
        self.removed_file = home / "removed"
        self.removed_file.write_text("")
        self._terminal = -1
        self._sleeping = ""
        self._last_pid = 0
        for name in GRANTS:
            self._drop_as(name, port)
        (user_home / ".ssh").mkdir(mode=0o700)
        (user_home / ".ssh" / "id_rsa").write_text(SECRET)
        (home / "inner" / "source").mkdir(parents=True)
        (home / "inner" / "python").mkdir()
        (home / "canary").write_text(SECRET)
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(user_home), "ORCHESTRAL_HOME": str(home),
            "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", "DAEMON_API_KEY": API_KEY,
            "ESCAPE_REMOVED": str(self.removed_file), **AGENT,
            **{name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
        }  # fmt: skip
        if os.getuid() == 0 and user == ROOT:
            self.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        for path in (home, user_home):
            self.give(path)

    def give(self, path: Path) -> None:
        """To the daemon's user, with all that is in it."""
        if self.uid != os.getuid():
            for folder, names, files in os.walk(path):
                for name in (".", *names, *files):
                    os.chown(os.path.join(folder, name), self.uid, self.gid, follow_symlinks=False)

    def _drop_as(self, name: str, port: int) -> None:
        folder = Path(self.paths.plugins_dir) / name
        shutil.copytree(BURGLAR, folder, ignore=shutil.ignore_patterns("__pycache__"))
        manifest = folder / "plugin.yaml"
        text = manifest.read_text(encoding="utf-8").replace("name: burglar\n", f"name: {name}\n", 1)
        for old, new in CHANGES.get(name, {}).items():
            assert old in text
            text = text.replace(old, new.replace("PORT", str(port)), 1)
        manifest.write_text(text, encoding="utf-8")

    # --- life -------------------------------------------------------------------------------------------------------

    def spawn(self) -> "subprocess.Popen[str]":
        self.ready = threading.Event()
        self._terminal, slave = pty.openpty()
        try:
            self.process = subprocess.Popen(
                self._command(), stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                env=self.environment, cwd="/",
            )  # fmt: skip
        finally:
            os.close(slave)
        self._last_pid = self.process.pid
        self._reader = threading.Thread(target=self._read, args=(self.process, self.ready), daemon=True)
        self._reader.start()
        return self.process

    def _command(self) -> list[str]:
        """The daemon on a terminal of its own, as an operator would start it: without one, that plugins find none
        would prove nothing."""
        program = SERVE_WITHOUT if self.removable else SERVE
        if self.uid == os.getuid():
            self.environment["PYTHONPATH"] = _python_path(SOURCE, SOURCE)
            return ["setsid", "--ctty", sys.executable, "-P", "-c", program, "serve"]
        source, python = self.home / "inner" / "source", self.home / "inner" / "python"
        self.environment |= {
            "PYTHONPATH": _python_path(source, SOURCE),
            "LD_LIBRARY_PATH": str(python / "lib"),
        }
        executable = str(python / os.path.relpath(os.path.realpath(sys.executable), sys.base_prefix))
        return [
            "setsid", "--ctty", "unshare", "--mount", "--propagation", "private", "sh", "-c",
            'mount --bind "$1" "$2" && mount --bind "$3" "$4" && shift 4 && exec "$@"', "sh",
            str(SOURCE), str(source), sys.base_prefix, str(python),
            "setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups", "--",
            executable, "-P", "-c", program, "serve",
        ]  # fmt: skip

    def gone(self) -> int:
        status = super().gone()
        if self._terminal >= 0:
            os.close(self._terminal)  # not before: the hang-up of its terminal is a signal to the daemon
            self._terminal = -1
        return status

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def leave_no_group(self) -> None:
        """Control groups that were still busy: of processes that outlived their step, where that was what was shown."""
        for folder in Path("/sys/fs/cgroup").glob(f"*/orchestrald-{self._last_pid}-*"):
            with suppress(OSError):
                folder.rmdir()

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that only the disk shows. AssertionError with the log when it does not come about."""
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.01)  # a disk tells nobody

    # --- attempts ---------------------------------------------------------------------------------------------------

    def remove(self, *mechanisms: str) -> None:
        assert self.removable or not mechanisms, "this one is as it is shipped"
        self.removed_file.write_text(" ".join(mechanisms))

    def scene(self, name: str, around: "Neighbourhood | None" = None) -> Scene:
        """A new workspace, furnished with what a project has."""
        workspace = self.home / "workspaces" / f"{re.sub('[^a-z0-9]+', '-', name)[:40]}-{secrets.token_hex(3)}"
        (workspace / ".git" / "hooks").mkdir(parents=True)
        (workspace / "sub" / ".git").mkdir(parents=True)
        for path, text in {
            ".git/HEAD": "ref: x", ".git/config": "[core]", ".env": "TOKEN=in-the-workspace", "known": "known",
        }.items():  # fmt: skip
            (workspace / path).write_text(text)
        self.give(workspace)
        if self.uid != os.getuid():  # not all of them again: one holds 200,000 names
            os.chown(workspace.parent, self.uid, self.gid)
        outside = self.home / "outside" / workspace.name
        outside.mkdir(parents=True)
        (outside / "secret").write_text(SECRET)
        self.give(outside)
        return Scene(self, workspace, f"4.{secrets.randbelow(10**9):09d}", around)

    def attempt(self, scene: Scene, grant: str, attempt: str, args: dict[str, Any], **step: Any) -> dict[str, Any]:
        """The step's end, as the daemon tells it. `then` is a further step, whose end counts instead."""
        then = step.pop("then", None)
        params = {"attempt": attempt, "args": args}
        steps = [{"id": "a", "action": f"{grant}.try", "params": params, **step}]
        if then is not None:
            steps.append({"id": "b", "depends_on": ["a"], **then})
        return self.steps(scene, *filled(steps, scene.places()))[-1]

    def steps(self, scene: Scene, *steps: dict[str, Any]) -> list[dict[str, Any]]:
        return list(self.end_of(self.begin(scene, *steps))["steps"])

    def fall_asleep(self) -> None:
        """A plugin that takes its time, beside all others; `wake_up` is how it ended."""
        sleeps = {"attempt": "linger", "args": {"marker": "20", "seconds": SLEEP_S}}
        self._sleeping = self.begin(self.scene("sleep"), {"id": "a", "action": "burglar.try", "params": sleeps})

    def wake_up(self) -> str:
        return code_of(self.end_of(self._sleeping)["steps"][0])

    def begin(self, scene: Scene, *steps: dict[str, Any]) -> str:
        plan = {"goal": "escape", "steps": list(steps)}
        return str(self.call("interaction.submit", plan=plan, workspace=str(scene.workspace))["interaction_id"])


def filled(value: Any, places: dict[str, str]) -> Any:
    """`value` with the places' names in braces replaced, in strings at any depth, keys too."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: places.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {filled(key, places): filled(inner, places) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, places) for inner in value]
    return value


def code_of(step: dict[str, Any]) -> str:
    return "succeeded" if step["state"] == "succeeded" else str(step.get("error", {}).get("code", step["state"]))


@contextmanager
def household(user: str, *, removable: bool, port: int = 1) -> Iterator[Household]:
    """A household with its daemon running; both are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="o-", dir="/tmp"))
    # Not below /tmp, which is private in every sandbox: that it is hidden must be the doing of something else.
    user_home = Path(tempfile.mkdtemp(prefix="o-", dir="/var/lib" if os.getuid() == 0 else os.path.expanduser("~")))
    made = Household(home, user_home, user, removable=removable, port=port)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        made.leave_no_group()
        # Not shutil: it falls over folders that are as deep as plugins may leave them.
        subprocess.run(["rm", "-rf", "--", str(home), str(user_home)], check=False)


def _python_path(source: Path, real: Path) -> str:
    """The packages of the checkout, at wherever it is mounted, and then what is installed."""
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    if installed.startswith(f"{real}/"):
        installed = str(source / os.path.relpath(installed, real))
    own = [source / name for name in (".", "sandbox", "plugins", "tests")]
    return os.pathsep.join([*(os.path.normpath(path) for path in own), installed])
