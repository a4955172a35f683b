"""What does the whole policy cost over the least that bwrap can do, and where do the milliseconds go?

The least is `bwrap --ro-bind / / true`: one namespace, one mount. Each row adds something to the row above it; the last
two are what a plugin gets. From preparing the words to the removal of the control group; spawned by the same call.
"""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median

import orchestrald_sandbox as sandbox
from benchmarks.floors.spawned import to_its_end
from benchmarks.rounds import Settings, compared, interleaved
from benchmarks.row import Row
from benchmarks.targets import SANDBOX

TIMES = 40
SHM, VAR_TMP = "/dev/shm", "/var/tmp"  # noqa: S108  where bwrap mounts, not where we write
TRUE = "/usr/bin/true"
BARE = ("--ro-bind", "/", "/")
ADDED = {
    "+ users, pids, ipc, host name": ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
    "+ no capabilities, no new users": ("--cap-drop", "ALL", "--disable-userns", "--new-session", "--die-with-parent"),
    "+ a network of its own": ("--unshare-net",),
    "+ /dev, /proc and /tmp of its own": (
        *("--dev", "/dev", "--proc", "/proc", "--remount-ro", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
        *("--tmpfs", SHM, "--tmpfs", VAR_TMP),
    ),
}


async def measure(settings: Settings) -> list[Row]:
    folder = settings.fresh("sandbox").resolve()
    try:
        host, cgroups = sandbox.inspect(folder), sandbox.cgroups.find()
    except sandbox.Unavailable as error:
        row = Row(what="sandbox", unit="ms", ours=None, versus="bare bwrap", other=None, bound=SANDBOX)
        return [replace(row, absent=f"no sandbox here: {error.reason}")]
    places = {name: folder / name for name in ("workspace", "plugin", "scratch")}
    for place in places.values():
        place.mkdir()
    (places["workspace"] / ".git").mkdir()
    (places["workspace"] / ".env").touch()
    whole = sandbox.Policy(
        workspace=str(places["workspace"]), plugin_dir=str(places["plugin"]), scratch=str(places["scratch"])
    )
    without = replace(cgroups, version=0, parents=())
    words: list[str] = [host.bwrap, *BARE]
    contenders = {"": partial(_spawn, [*words, TRUE])}
    for what, added in ADDED.items():
        words += added
        contenders[what] = partial(_spawn, [*words, TRUE])
    contenders["read_only, without a control group"] = partial(_confined, whole, host, without)
    contenders["read_only, whole"] = partial(_confined, whole, host, cgroups)
    writing = replace(whole, mode=sandbox.Mode.WORKSPACE_WRITE)
    contenders["workspace_write, whole"] = partial(_confined, writing, host, cgroups)
    bare, *figures = await interleaved(settings.rounds, [_Timed(each) for each in contenders.values()])
    rows = []
    for what, taken in zip(list(contenders)[1:], figures, strict=True):
        bound = SANDBOX if "whole" in what else None
        rows.append(compared(f"sandbox: {what}", "ms", taken, "bwrap --ro-bind / /", bare, bound))
    return rows


class _Timed:
    def __init__(self, once: partial[None]) -> None:
        self._once = once

    async def __call__(self) -> float:
        taken = []
        for _ in range(TIMES):
            began = time.perf_counter()
            self._once()
            taken.append(time.perf_counter() - began)
        return median(taken) * 1000


def _spawn(words: Sequence[str]) -> None:
    process = subprocess.Popen(
        words, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=()
    )
    _, stderr = process.communicate(b"")
    assert process.returncode == 0, stderr


def _confined(policy: sandbox.Policy, host: sandbox.Host, cgroups: sandbox.cgroups.Cgroups) -> None:
    prepared = sandbox.prepare(policy, [TRUE], sandbox.environment.base(), host)
    to_its_end(prepared, policy, cgroups)
