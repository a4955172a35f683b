"""What does the host put in a plugin's way, and what does it see afterwards?"""

import ctypes
import os
import secrets
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from escape.household import SECRET, Scene

IPC_CREAT, IPC_RMID = 0o1000, 0
LIBC = ctypes.CDLL(None, use_errno=True)
SOON_S = 2.0


class Neighbourhood:
    """What else runs on the machine: listeners on its loopback, shared memory, an abstract socket."""

    def __init__(self, kept: ExitStack) -> None:
        self.tcp = kept.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
        self.udp = kept.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp.bind(("127.0.0.1", 0))
        self.abstract = f"o-{secrets.token_hex(6)}"
        abstract = kept.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{self.abstract}")
        abstract.listen(100)
        self.shm = Path("/dev/shm") / self.abstract
        self.shm.write_text(SECRET)
        self.shm.chmod(0o644)
        kept.callback(self.shm.unlink)
        self.key = secrets.randbits(30) | 1
        segment = LIBC.shmget(ctypes.c_int(self.key), ctypes.c_size_t(4096), ctypes.c_int(IPC_CREAT | 0o666))
        assert segment >= 0, os.strerror(ctypes.get_errno())
        kept.callback(LIBC.shmctl, segment, IPC_RMID, None)

    def places(self) -> dict[str, str]:
        return {
            "port": str(self.tcp.getsockname()[1]), "udp_port": str(self.udp.getsockname()[1]),
            "abstract": f"@{self.abstract}", "shm": str(self.shm), "shm_key": str(self.key),
            "hostname": socket.gethostname(),
        }  # fmt: skip


@contextmanager
def neighbourhood() -> Iterator[Neighbourhood]:
    with ExitStack() as kept:
        yield Neighbourhood(kept)


def readable(path: str) -> bool:
    """By the suite itself: in some machines not even root may read the disk."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def has_capability(number: int) -> bool:
    text = Path("/proc/self/status").read_text()
    return bool(int(text.split("CapEff:")[1].split()[0], 16) >> number & 1)


# --- before a run ----------------------------------------------------------------------------------------------------


def listener_in_workspace(scene: Scene) -> None:
    listener = socket.socket(socket.AF_UNIX)
    scene.kept.enter_context(listener)
    listener.bind(str(scene.workspace / "s"))
    listener.listen()
    scene.home.give(scene.workspace)


def link(name: str, target: str) -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        path = scene.workspace / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        scene.home.give(scene.workspace)

    return make


def set_id_program(scene: Scene) -> None:
    """`id`, owned by root with its set-id bit, where the plugin can run it."""
    path = scene.workspace / "id"
    shutil.copy("/usr/bin/id", path)
    scene.home.give(scene.workspace)
    if os.getuid() == 0:
        os.chown(path, 0, 0)
    path.chmod(0o4755)
    if os.getuid() != 0 and scene.home.removable:
        pytest.skip("NOT PROVEN: only root can make a program that is root's")


def home_is_shown(scene: Scene) -> None:
    if scene.home.removable and str(scene.home.user_home).startswith(("/tmp/", "/run/", "/var/tmp/")):
        pytest.skip("NOT PROVEN: the home folder lies where every sandbox has a folder of its own")


def evil_twin(scene: Scene) -> None:
    """What the workspace is replaced with after it was checked."""
    shutil.copytree(scene.workspace, f"{scene.workspace}.evil")
    Path(f"{scene.workspace}.evil/swapped").write_text("evil")
    scene.home.give(Path(f"{scene.workspace}.evil"))


# --- beside a run ----------------------------------------------------------------------------------------------------


def feed_pipes(scene: Scene, over: threading.Event) -> None:
    """Whoever opens a FIFO that the plugin has left finds a fine answer in it."""
    folders = [scene.workspace, Path(scene.home.paths.state_dir) / "scratch"]
    while not over.wait(0.02):
        for path in [path for folder in folders for path in folder.rglob("*")]:
            with suppress(OSError):
                if path.is_fifo():
                    with open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "w", encoding="utf-8") as pipe:
                        pipe.write(SECRET)


# --- after a run -----------------------------------------------------------------------------------------------------


def running(marker: str) -> list[int]:
    """Processes of the whole machine that have this word in their command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                if marker.encode() in words:
                    found.append(int(name))
    return found


def survivor(scene: Scene) -> str:
    """A process that outlives its step by more than what the kernel needs to end it."""
    deadline = time.monotonic() + 0.5
    while (alive := running(scene.marker)) and time.monotonic() < deadline:
        time.sleep(0.02)  # the kernel ends them in its own time, and tells nobody
    return f"process {alive[0]} is alive" if alive else ""


def file_in_workspace(*names: str) -> Callable[[Scene], str]:
    def look(scene: Scene) -> str:
        found = [name for name in names if os.path.lexists(scene.workspace / name)]
        return f"{', '.join(found)} is there" if found else ""

    return look


def scratch_left(scene: Scene) -> str:
    left = sorted(path.parent.name for path in (Path(scene.home.paths.state_dir) / "scratch").glob("*/d"))
    return f"{left} was left" if left else ""


def envrc_in_locked_workspace(scene: Scene) -> str:
    scene.workspace.chmod(0o755)
    return file_in_workspace(".envrc")(scene)


def protected_bytes(scene: Scene) -> str:
    found = [name for name in os.listdir(os.fsencode(scene.workspace)) if name.startswith(b".env") and name != b".env"]
    return f"{found} is there" if found else ""


def set_id_files(scene: Scene) -> str:
    found = [path.name for path in scene.workspace.iterdir() if path.lstat().st_mode & 0o6000]
    return f"{found} have a set-id bit" if found else ""


def datagram(scene: Scene) -> str:
    """Anything with this run's marker in it that came to the machine's own loopback."""
    assert scene.around is not None
    while select.select([scene.around.udp], [], [], 0.1)[0]:
        text = scene.around.udp.recv(1000).decode()
        if scene.marker in text:
            return text
    return ""


def connection_with_marker(scene: Scene) -> str:
    assert scene.around is not None
    while select.select([scene.around.tcp], [], [], 0.1)[0]:
        connection, _ = scene.around.tcp.accept()
        with connection:
            connection.settimeout(SOON_S)
            if scene.marker in connection.recv(1000).decode():
                return "the token arrived"
    return ""


def harmed_outside(scene: Scene) -> str:
    """Anything that is not as it was in the folder that no run may touch."""
    found = {path.name: path.read_text() for path in scene.outside.iterdir()} if scene.outside.exists() else {}
    return "" if found == {"secret": SECRET} else f"outside there is now {found}"


def shared_memory_left(scene: Scene) -> str:
    path = Path("/dev/shm") / f"left-{scene.marker}"
    if path.exists():
        path.unlink()
        return f"{path} is on the host"
    return ""
