"""How does a client start the daemon, and what does it say when that fails?

Rules of this file:

- Two clients may start one at the same moment: the home's lock lets one live, and the other client uses that one.
- The daemon gets its own session, so neither Ctrl-C nor closing the terminal reaches it.
"""

from __future__ import annotations

import os
import sys
import time

from orchestrald.client import Connection, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrald.paths import Paths

PATIENCE_S = 10.0
TAIL_BYTES = 4000


def start_daemon(paths: Paths) -> None:
    """Start one and return as soon as somebody listens. Raises Unreachable with the end of the log."""
    import subprocess

    log, size = _open_log(paths)
    try:
        child = subprocess.Popen(  # noqa: S603 -- our own program, and no shell
            daemon_command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
    except OSError as error:
        raise Unreachable(f"orchestrald could not be started: {error.strerror}.") from None
    finally:
        os.close(log)
    child.poll()
    deadline = time.monotonic() + PATIENCE_S
    pause = 0.01
    while time.monotonic() < deadline:
        if is_listening(paths):
            # subprocess warns about children that are dropped alive; this one is meant to be
            child.returncode = 0 if child.returncode is None else child.returncode
            return
        if child.poll() is not None and not is_held(paths.lock):
            raise Unreachable(f"orchestrald stopped at once (exit {child.returncode}).", _tail(paths.daemon_log, size))
        time.sleep(pause)
        pause = min(0.1, pause * 1.5)
    child.returncode = 0 if child.returncode is None else child.returncode
    raise Unreachable(
        f"orchestrald was started and does not listen after {PATIENCE_S:g} s.", _tail(paths.daemon_log, size)
    )


def daemon_command() -> list[str]:
    """The script beside ours; without one (running from sources) the same Python with the daemon's module."""
    beside = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), "orchestrald")
    if os.path.basename(sys.argv[0]) == "orchestral" and os.access(beside, os.X_OK) and os.path.isfile(beside):
        return [beside, "serve"]
    return [sys.executable, "-P", "-c", "from orchestrald.command import main; main()", "serve"]


def is_listening(paths: Paths) -> bool:
    try:
        Connection(paths.socket).close()
    except OSError:
        return False
    return True


def _environment() -> dict[str, str]:
    env = dict(os.environ)
    if env.get("ORCHESTRAL_HOME"):
        env["ORCHESTRAL_HOME"] = os.path.abspath(os.path.expanduser(env["ORCHESTRAL_HOME"]))  # its folder is /
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    given = [os.path.abspath(part) for part in env.get("PYTHONPATH", "").split(os.pathsep) if part]
    if given or not here.endswith("-packages"):
        env["PYTHONPATH"] = os.pathsep.join([*given, here] if here not in given else given)
    return env


def _open_log(paths: Paths) -> tuple[int, int]:
    before = os.umask(0o077)  # the state folder may be made on the way, and must not be open to others
    try:
        os.makedirs(paths.log_dir, exist_ok=True)
        log = os.open(paths.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise Unreachable(f"The log {paths.daemon_log} cannot be written: {error.strerror}.") from None
    finally:
        os.umask(before)
    return log, os.fstat(log).st_size


def is_held(lock: str) -> bool:
    import fcntl

    try:
        handle = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _tail(path: str, since: int) -> str:
    from orchestrald.cli.text import safe_lines

    try:
        with open(path, "rb") as file:
            file.seek(since)
            lines = safe_lines(file.read()[-TAIL_BYTES:].decode("utf-8", "replace"))[-12:]
    except OSError:
        lines = []
    said = "\n".join(f"    {line}" for line in lines) or "    (nothing)"
    return f"Its log, {path}, says:\n{said}"
