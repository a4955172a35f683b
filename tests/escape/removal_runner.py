"""What is the daemon's own side without a mechanism: how it runs programs, opens files, reads answers and connects?"""

import json
import os
import re
import shutil
import socket
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orchestrald_sandbox as sandbox
from escape.removal import Function, removed, spelled, wrap
from orchestrald import beneath
from orchestrald.protocol import strict_json
from orchestrald.runner import external, process, proxy, scratch, spawn


def install() -> None:
    for part in (_bounds, _process, _spawn, _beneath, _protocol, _artifacts, _scratch, _proxy):
        part()


def _bounds() -> None:
    @wrap(process._Run, "__init__")
    def made(original: Function, self: Any, popen: Any, program: Any, bounds: Any, *rest: Any) -> None:
        gone = removed()
        if "deadline" in gone:
            bounds = replace(bounds, timeout=None, idle=None)
        if "stdout-bound" in gone:
            bounds = replace(bounds, stdout=1 << 30, stdout_kill=None)
        if "stderr-bound" in gone:
            bounds = replace(bounds, stderr_kill=None)
        original(self, popen, program, bounds, *rest)


def _process() -> None:
    @wrap(process._Run, "_kill")
    def kill(original: Function, self: Any) -> None:
        if "kill" not in removed():
            original(self)

    @wrap(process, "_signal_group")
    def signal_group(original: Function, leader: int, number: int) -> None:
        if "kill" not in removed():
            original(leader, number)

    @wrap(process._Run, "_until_gone")
    async def until_gone(original: Function, self: Any, seconds: float) -> None:
        await original(self, 0.2 if "kill" in removed() else seconds)

    @wrap(process, "_pipe")
    def pipe(original: Function, given: Any) -> int:
        if "nonblocking" in removed() and given is not None:
            return int(given.fileno())
        return int(original(given))


def _spawn() -> None:
    def popen(argv: Any, **options: Any) -> Any:
        gone = removed()
        if "descriptors" in gone:
            opened = os.open(os.environ["ORCHESTRAL_HOME"] + "/canary", os.O_RDONLY)
            os.set_inheritable(opened, True)
            options |= {"close_fds": False, "pass_fds": ()}
            for number in _pass_fds(argv):
                os.set_inheritable(number, True)
        if "session" in gone:
            options["start_new_session"] = False
        return subprocess.Popen(argv, **options)

    spawn.subprocess = SimpleNamespace(  # type: ignore[assignment, attr-defined]
        **{name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL", "STDOUT", "TimeoutExpired")}, Popen=popen
    )


def _beneath() -> None:
    folder, file = beneath._FOLDER, beneath._FILE

    @wrap(beneath.Root, "__init__")
    def made(original: Function, self: Any, path: str) -> None:
        gone = removed()
        beneath._FOLDER = folder & ~os.O_NOFOLLOW if "nofollow" in gone else folder
        beneath._FILE = file & ~os.O_NOFOLLOW if "nofollow" in gone else file
        if "regular-files" in gone:
            beneath._FILE &= ~os.O_NONBLOCK
        original(self, path)

    @wrap(beneath, "_regular")
    def regular(original: Function, fd: int, path: str, **named: Any) -> None:
        if "regular-files" not in removed():
            original(fd, path, **named)


def _protocol() -> None:
    @wrap(strict_json, "loads")
    def loads(original: Function, data: bytes, **named: Any) -> Any:
        return json.loads(data) if "strict-json" in removed() else original(data, **named)


def _artifacts() -> None:
    bounds = external.MOST_ARTIFACTS, external.MOST_ARTIFACT_BYTES

    @wrap(external.ExternalRunner, "_exported")
    def exported(original: Function, *args: Any) -> Any:
        gone = "artifact-bounds" in removed()
        external.MOST_ARTIFACTS, external.MOST_ARTIFACT_BYTES = (1 << 40, 1 << 60) if gone else bounds
        return original(*args)


def _scratch() -> None:
    @wrap(scratch, "_remove")
    def remove(original: Function, path: str) -> None:
        if "careful-removal" in removed():
            for inner, _, files in os.walk(path, followlinks=True):
                os.chmod(inner, 0o700)
                for name in files:
                    os.unlink(os.path.join(inner, name))
        if "deep-removal" in removed():
            shutil.rmtree(path, ignore_errors=True)
        else:
            original(path)


def _proxy() -> None:
    proxy.CONNECT_SECONDS = 0.5  # an address that does not answer is as good as one that does

    @wrap(proxy, "judge")
    def judge(original: Function, *args: Any) -> str:
        return "" if "destinations" in removed() else str(original(*args))

    @wrap(proxy, "judge_address")
    def judge_address(original: Function, *args: Any) -> str:
        return "" if removed() & {"destinations", "resolved-again"} else str(original(*args))

    @wrap(proxy, "read")
    def read(original: Function, data: bytes) -> Any:
        # As resolvers read it: to the NUL, and numbers as addresses.
        loose = re.sub(rb"\0[^:]*", b"", data).replace(b"2130706433", b"127.0.0.1")
        return original(loose if "loose-targets" in removed() else data)

    @wrap(sandbox.listener, "inside")
    def inside(original: Function, first_process: int) -> Any:
        if "network-namespace" in removed():
            return socket.create_server(("127.0.0.1", 0))
        return original(first_process)


def _pass_fds(argv: Any) -> list[int]:
    """Without close_fds nobody makes these inheritable: every descriptor that bwrap is told of."""
    words = list(argv)
    numbers = [int(words[words.index("--args") + 1])]
    told = spelled(numbers[0])
    for at, word in enumerate(told):
        if word.endswith("-fd") or word in ("--seccomp", "--file", "--ro-bind-data"):
            numbers.append(int(told[at + 1]))
    return numbers
