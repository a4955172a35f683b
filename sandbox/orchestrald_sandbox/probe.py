"""Does the sandbox hold on this machine, today?

A sandbox that starts is not yet one that holds. A script is run through the very words a plugin gets and
tries to get out; every attempt must be answered, and held. An answer that is missing counts as an escape.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import environment, inside, interpreter, seatbelt, status, survivors
from .bubblewrap import Host
from .errors import SandboxError, Unavailable
from .host import weaker
from .policy import Backend, Limits, Mode, Network, Policy
from .prepare import Prepared, prepare

SECONDS = 20.0
# Every question that must be answered. Kept apart from the script: a truncated script must not pass.
EXPECTED = (
    "no_capabilities", "no_new_privileges", "filtered", "user_namespace", "kernel_settings_read_only",
    "daemon_files_hidden", "root_read_only", "plugin_folder_read_only", "environment_clean", "no_descriptors",
    "limits_set", "vsock_refused", "netlink_refused", "unix_sockets_as_granted", "namespaces_own", "network_as_granted",
    "workspace_as_granted", "scratch_writable", "tmp_writable",
)  # fmt: skip

USERNS = "Install the AppArmor profile bwrap-userns-restrict (package apparmor-profiles)."
NESTED = "In a container allow user namespaces, or treat it as the sandbox (mode none). On WSL1 use WSL2."
UNMASK = "Start the container with an unmasked /proc, or treat it as the sandbox (mode none)."
PASSABLE = "Give it the right to pass (x) every folder above, or unset sandbox.run_as."
# (what bwrap says, what it means, what to do); the first that matches counts
SAYINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"setting up uid map: Permission denied|RTM_NEW(ADDR|LINK)",
        "AppArmor restricts user namespaces",
        USERNS,
    ),
    (
        r"No permissions to creat\w+ (a )?new namespace|nesting depth|No space left on device"
        r"|kernel does not support user namespaces|Creating new namespace failed",
        "user namespaces are not available",
        NESTED,
    ),
    (r"[Cc]an't mount proc|mount proc .*(not permitted|denied)", "a fresh /proc cannot be mounted", UNMASK),
    (r"Unknown option", "bwrap is too old", "Install bubblewrap 0.8 or later."),
    (r"Can't find source path .*Permission denied", "the user of run_as cannot reach a folder", PASSABLE),
    (r"Can't find source path", "something to be shown does not exist", "Check the configured folders."),
    (r"setpriv:", "the user of run_as cannot be taken on", "Check sandbox.run_as."),
    (r"prlimit:|execvp", "the probe's python could not be executed", "Can the user of run_as read it?"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`ok` False: run nothing under such a policy; `reason` and `hint` say why. `weaker` tells what holds
    less than it could, and may be there with `ok` True. `checks` is empty when the sandbox did not start at
    all."""

    ok: bool
    reason: str = ""
    hint: str = ""
    weaker: tuple[str, ...] = ()
    checks: dict[str, bool] = field(default_factory=dict)


def probe(host: Host | None, state: Path, policy: Policy | None = None, *, seconds: float = SECONDS) -> Probe:
    """Try the sandbox with `policy`'s mode, network, sockets, `fs_read`, masks and `run_as` (None: the
    defaults), on folders of its own beneath `state`. `host` None: there is no bwrap to know of, as on macOS.
    Blocks, for some 25 ms and at most `seconds`; never raises.

    Good for the same bwrap, boot, user and kind of policy. The thread that calls must stay until it
    returns.
    """
    policy = policy or Policy()
    if policy.mode is Mode.NONE:
        return Probe(ok=False, reason="mode none is no sandbox", hint="Nothing is confined in mode none.")
    told = seatbelt.weaker() if host is None else weaker(host, policy)
    try:
        with tempfile.TemporaryDirectory(prefix="probe-", dir=os.path.realpath(state)) as folder:
            os.chmod(folder, 0o711)  # noqa: S103  so that only the sandbox can hide it
            return replace(_run(host, policy, Path(folder), seconds), weaker=told)
    except Unavailable as error:
        return Probe(ok=False, reason=error.reason, hint=error.hint, weaker=told)
    except (SandboxError, OSError, ValueError) as error:
        return Probe(ok=False, reason=f"the probe could not be run: {error}", hint="Report it.", weaker=told)


def kind_of(policy: Policy, host: Host | None) -> tuple[object, ...]:
    """What an answer depends on: another bwrap under the same name is another question. Unavailable: it is gone."""
    if host is None:
        return (Backend.SEATBELT, policy.mode, policy.network, policy.fs_read, policy.unix_sockets)
    try:
        about = os.stat(host.bwrap)
    except OSError as error:
        raise Unavailable(f"{host.bwrap} is gone: {error.strerror}", "Install bubblewrap again.") from None
    words = (policy.mode, policy.network, policy.fs_read, policy.unix_sockets, policy.run_as)
    return (*words, host.bwrap, about.st_mtime_ns, about.st_ino)


def diagnose(stderr: str) -> tuple[str, str]:
    """What bwrap's last words mean: (reason, hint). The hint is empty for words that are not known."""
    for pattern, reason, hint in SAYINGS:
        if re.search(pattern, stderr):
            return f"{reason} ({_last_line(stderr)})", hint
    return f"the sandbox did not start: {_last_line(stderr) or 'it gave no reason'}", ""


def judge(printed: bytes, expected: Sequence[str] = EXPECTED) -> tuple[dict[str, bool], tuple[str, ...]]:
    """The script's answers, and which of the expected ones are not a plain True."""
    try:
        answers = json.loads(printed)
    except ValueError:
        answers = None
    checks = {name: isinstance(answers, dict) and answers.get(name) is True for name in expected}
    return checks, tuple(name for name, held in checks.items() if not held)


def _run(host: Host | None, policy: Policy, folder: Path, seconds: float) -> Probe:
    places = {name: folder / name for name in ("workspace", "plugin", "scratch")}
    for place in places.values():
        place.mkdir(mode=0o700)
        if policy.run_as is not None:
            os.chown(place, *policy.run_as)
    canary = folder / "canary"
    canary.write_text("private")
    script = places["plugin"] / "inside.py"
    script.write_text(Path(inside.__file__).read_text())
    for path in (canary, script):
        path.chmod(0o644)
    python = interpreter.resolve(
        [_python(), "-I", "-S", str(script)], folder=str(places["plugin"]), path=environment.PATH,
        home=os.path.expanduser("~"),
    )  # fmt: skip
    tried = replace(
        policy, workspace=str(places["workspace"]), plugin_dir=str(places["plugin"]),
        scratch=str(places["scratch"]), writable_roots=(), parts=(), read_roots=python.read_roots, cwd=None,
        limits=Limits(), masked=(*policy.masked, str(canary)),
    )  # fmt: skip
    expected: tuple[str, ...] = EXPECTED
    own: dict[str, str] = {}
    if host is None:
        expected, own = seatbelt.EXPECTED, dict.fromkeys(("home", "temporary"), str(places["scratch"]))
    env = environment.base(path=python.path, **own) | {survivors.VARIABLE: str(places["scratch"])}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = {
            "canary": str(canary), **{name: str(place) for name, place in places.items()},
            "variables": list(env),
            "unix_sockets": policy.unix_sockets, "host_network": policy.network is Network.HOST,
            "writable": policy.mode is Mode.WORKSPACE_WRITE, "port": listener.getsockname()[1],
            "namespaces": {} if host is None else _namespaces(policy),
            "limits": _limits(host),
            "checks": expected,
        }  # fmt: skip
        return _ask(tried, [*python.argv, json.dumps(asked)], env, host, seconds)


def _ask(policy: Policy, command: Sequence[str], env: dict[str, str], host: Host | None, seconds: float) -> Probe:
    with prepare(policy, command, env, host) as prepared:
        process = subprocess.Popen(
            prepared.argv, env=prepared.env, cwd=prepared.cwd, pass_fds=prepared.pass_fds,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    written = b""
    try:
        written = _admit(prepared, seconds)
        printed, complaints = process.communicate(timeout=seconds)
        written += _rest(prepared)
    except subprocess.TimeoutExpired:
        return Probe(ok=False, reason=f"no answer within {seconds:g} s", hint="Is the machine overloaded?")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        prepared.abandon()
        _reap(status.read(written).child)
    stderr = complaints.decode("utf-8", "replace")
    if host is None and process.returncode != 0:
        reason, hint = seatbelt.diagnose(stderr, process.returncode)
        return Probe(ok=False, reason=reason, hint=hint)
    if host is not None and status.read(written).exit_code != 0:
        reason, hint = diagnose(stderr)
        return Probe(ok=False, reason=reason, hint=hint)
    checks, missed = judge(printed, EXPECTED if host is not None else seatbelt.EXPECTED)
    if missed:
        reason = f"the sandbox does not hold: {', '.join(missed)}"
        return Probe(ok=False, reason=reason, hint="Report it.", checks=checks)
    return Probe(ok=True, checks=checks)


def _admit(prepared: Prepared, seconds: float) -> bytes:
    """What bwrap has told when its first process waits at the door, which is then opened; all if it failed before."""
    written = b""
    while prepared.status_read_fd is not None:
        if not select.select([prepared.status_read_fd], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired(prepared.argv, seconds)
        part = os.read(prepared.status_read_fd, 4096)
        written += part
        child = status.read(written).child
        if child is not None:
            prepared.limit(child)
            prepared.release()
        if child is not None or not part:
            break
    return written


def _rest(prepared: Prepared) -> bytes:
    if prepared.status_read_fd is None:
        return b""
    with open(prepared.status_read_fd, "rb", closefd=False) as pipe:
        return pipe.read()


def _reap(child: int | None) -> None:
    """bwrap ends before its first process does, which is ours to bury where we are PID 1 or a subreaper."""
    if child is not None:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _namespaces(policy: Policy) -> dict[str, str]:
    names = ("user", "mnt", "pid", "ipc", "uts", *(() if policy.network is Network.HOST else ("net",)))
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in names}


def _limits(host: Host | None) -> dict[str, int]:
    """Hard limits by name. Without the number of processes for Seatbelt: macOS counts the user's, not the run's."""
    found = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": Limits().open_files}
    return found if host is None else found | {"RLIMIT_NPROC": Limits().processes}


def _python() -> str:
    """Any python will do; the system's own needs nothing but /usr to be shown."""
    installed = ("/usr/bin/python3", "/usr/local/bin/python3")
    return next((path for path in installed if os.access(path, os.X_OK)), sys.executable)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else ""
