"""How is a command kept from using up the machine?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrald_sandbox import Limits, limits, status


def test_every_limit_of_a_process_becomes_an_option() -> None:
    words = limits.prlimit(Limits(cpu_seconds=7, processes=9), "/p", processes=True)
    assert words[0] == "/p" and words[-1] == "--"
    assert {"--core=0", "--cpu=7:12", "--nproc=9:9", "--nofile=512:512", "--msgqueue=0"} <= set(words)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_tree_is_counted_with_its_memory_and_is_empty_when_gone() -> None:
    code = "import os, sys; kept = bytearray(32 << 20); os.fork(); os.write(1, b'.'); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.read(2) == b".."
    assert len(limits.processes_of_tree(process.pid)) == 2
    assert limits.rss_of_tree(process.pid) > 32 << 20
    process.stdin.close()
    process.stdout.read()
    process.wait()
    process.stdout.close()
    assert (limits.processes_of_tree(process.pid), limits.rss_of_tree(process.pid)) == ((), 0)


def test_cgroups_are_told_apart(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/user/run\n")
    assert limits.cgroups(tmp_path, own).kind == "none"
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    assert limits.cgroups(tmp_path, own).kind == "v1"
    (tmp_path / "cgroup.controllers").touch()
    inner = tmp_path / "user" / "run"
    inner.mkdir(parents=True)
    (inner / "cgroup.controllers").write_text("cpuset memory pids\n")
    (inner / "cgroup.subtree_control").touch()
    found = limits.cgroups(tmp_path, own)
    assert (found.kind, found.path, found.controllers) == ("v2", str(inner), ("memory", "pids"))
    assert limits.cgroups(tmp_path, tmp_path / "no").kind == "none"


def test_the_description_says_that_uid_0_is_not_counted() -> None:
    nothing = limits.Cgroups(kind="none", path=None, controllers=(), delegated=False)
    assert "not limited" in limits.describe(0, nothing)["processes"]
    assert limits.describe(os.getuid() or 1, nothing)["processes"] == "rlimit"


@pytest.mark.parametrize(
    ("written", "expected"),
    [(b"", (None, None)), (b'{"child-pid": 7, "net-namespace": 1}\n', (7, None)),
     (b'{"child-pid": 7}\n{"exit-code": 0}\n', (7, 0)), (b'{"child-pid": 7}\n{"exit-co', (7, None)),
     (b"[1]\nnonsense\n\xff\n", (None, None))],
)  # fmt: skip
def test_the_status_pipe_is_read_as_far_as_it_is_written(
    written: bytes, expected: tuple[int | None, int | None]
) -> None:
    got = status.read(written)
    assert (got.child, got.exit_code) == expected
