"""What happens when a client must start the daemon? A small program stands in for it."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrald.cli import starting
from orchestrald.client import Unreachable
from orchestrald.paths import Paths

LISTENS = """
import os, socket, sys, time
print("its cwd is", os.getcwd(), "session", os.getsid(0) == os.getpid(), flush=True)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    with open(sys.argv[1] + ".pid", "w") as pid_file:
        pid_file.write(str(os.getpid()))
    time.sleep(20)
"""


@pytest.fixture
def paths(home: Path) -> Iterator[Paths]:
    found = Paths.find({"ORCHESTRAL_HOME": str(home)})
    yield found
    pid_file = Path(found.socket + ".pid")
    if pid_file.exists():
        os.kill(int(pid_file.read_text(encoding="utf-8")), signal.SIGKILL)


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str, *argv: str) -> None:
    monkeypatch.setattr(starting, "daemon_command", lambda: [sys.executable, "-c", program, *argv])


def test_a_started_daemon_is_detached_and_its_words_are_kept(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, LISTENS, paths.socket)
    starting.start_daemon(paths)
    assert starting.is_listening(paths)
    assert Path(paths.daemon_log).read_text(encoding="utf-8") == "its cwd is / session True\n"


def test_folders_made_on_the_way_are_closed_to_others(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, LISTENS, paths.socket)
    starting.start_daemon(paths)
    assert stat.S_IMODE(os.stat(paths.state_dir).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(paths.daemon_log).st_mode) == 0o600


def test_a_daemon_that_stops_at_once_is_quoted(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(paths.log_dir)
    Path(paths.daemon_log).write_text("words of an earlier one\n", encoding="utf-8")
    stand_in(monkeypatch, "import sys; sys.exit('configs: unknown key \\x1b[2J lgo_level')")
    with pytest.raises(Unreachable, match=r"exit 1") as caught:
        starting.start_daemon(paths)
    assert "unknown key \\x1b[2J lgo_level" in caught.value.hint
    assert "earlier" not in caught.value.hint


def test_the_loser_of_a_race_uses_the_winner(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our daemon stops because another one holds the home, and that one listens a moment later."""
    os.makedirs(paths.state_dir)
    stand_in(monkeypatch, "raise SystemExit(75)")
    winner: list[subprocess.Popen[bytes]] = []
    with open(paths.lock, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = [sys.executable, "-c", LISTENS, paths.socket]
        timer = threading.Timer(0.3, lambda: winner.append(subprocess.Popen(program, stdout=subprocess.DEVNULL)))
        timer.start()
        starting.start_daemon(paths)
        timer.join(5)
    winner[0].kill()
    winner[0].wait(5)
    Path(paths.socket + ".pid").unlink(missing_ok=True)


def test_a_daemon_that_never_listens_is_given_up(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = paths.socket + ".pid"
    stand_in(monkeypatch, f"import os, time; open({pid_file!r}, 'w').write(str(os.getpid())); time.sleep(20)")
    monkeypatch.setattr(starting, "PATIENCE_S", 0.5)
    with pytest.raises(Unreachable, match=r"does not listen after 0\.5 s"):
        starting.start_daemon(paths)


def test_the_script_beside_ours_is_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "orchestrald"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "orchestral"), "list"])
    assert starting.daemon_command() == [str(script), "serve"]
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert starting.daemon_command()[0] == sys.executable
