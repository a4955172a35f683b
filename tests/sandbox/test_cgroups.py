"""Control groups: which are found, what is written into them, and that the kernel then counts.

Version 2 needs a machine that delegates; where there is none, those tests say so. What is written is compared for both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrald_sandbox import Host, Limits, Policy, cgroups, environment, prepare, status
from support.sandboxed import let_in

LIMITS = Limits(memory_bytes=96 << 20, processes=16, cpu_percent=25)


@pytest.fixture(scope="session")
def offered() -> cgroups.Cgroups:
    found = cgroups.find()
    if not found.parents:
        pytest.skip(f"CONTROL GROUPS ARE NOT TESTED: {found.problem}")
    return found


@pytest.fixture
def counted(offered: cgroups.Cgroups, host: Host, python: str) -> Callable[..., tuple[int, cgroups.Verdict]]:
    """Run a script in a group of its own; its exit code and what was counted."""
    import subprocess

    def run(script: str, limits: Limits = LIMITS) -> tuple[int, cgroups.Verdict]:
        policy = Policy(limits=limits)
        with prepare(policy, [python, "-I", "-S", "-c", script], environment.base(), host) as prepared:
            group = offered.make()
            with group.around_spawn():
                process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds)
        try:
            written = let_in(prepared, group)
            deadline = time.monotonic() + 60
            while process.poll() is None and not group.verdict().oom:
                assert time.monotonic() < deadline, "neither ended nor stopped for memory"
                os.sched_yield()
            if group.verdict().oom:
                process.kill()  # as the runner does: what is left would fight for the last pages
            process.wait(20)
            assert prepared.status_read_fd is not None
            with open(prepared.status_read_fd, "rb", closefd=False) as pipe:
                code = status.read(written + pipe.read()).exit_code
            return (-1 if code is None else code), group.verdict()
        finally:
            process.kill()
            process.wait()
            prepared.abandon()
            group.remove()
            # In a full group of version 1 the kernel may take many seconds to end what it has killed; the next start
            # removes what `remove` had to leave, as we do here.
            deadline = time.monotonic() + 30
            while any(folder.exists() for folder in group.folders.values()) and time.monotonic() < deadline:
                os.sched_yield()
                group.remove()
            assert not [folder for folder in group.folders.values() if folder.exists()]

    return run


@pytest.mark.kernel
def test_all_processes_together_hold_no_more_memory_than_the_limit(counted) -> None:
    hold = "import os, time; kids = [os.fork() for _ in range(3)]; held = b'x' * (64 << 20); time.sleep(1)"
    code, seen = counted(hold)
    assert seen.oom, code
    assert counted("held = b'x' * (8 << 20)") == (0, cgroups.Verdict())


@pytest.mark.kernel
def test_no_more_processes_than_the_limit_can_be_made_also_by_uid_0(counted) -> None:
    script = (
        "import os, sys\n"
        "made = 0\n"
        "try:\n"
        "    while made < 100:\n"
        "        if os.fork() == 0: os.read(os.pipe()[0], 1)\n"
        "        made += 1\n"
        "except OSError: pass\n"
        "sys.exit(made)"
    )
    code, seen = counted(script)
    assert 8 <= code <= 16
    # For anybody but uid 0 the rlimit is met first, and is not counted.
    assert seen.processes or os.getuid() != 0


@pytest.mark.kernel
def test_processor_time_is_shared_out(counted, offered) -> None:
    if "cpu" not in offered.controllers:
        pytest.skip("PROCESSOR TIME IS NOT TESTED: no cpu controller")
    started = time.monotonic()
    code, _ = counted("import time\nwhile time.process_time() < 0.3: pass")
    assert code == 0
    assert time.monotonic() - started > 0.6, "0.3 s of work at a quarter of a processor took no longer than at a whole"


@pytest.mark.kernel
def test_groups_of_a_daemon_that_was_killed_are_removed(offered) -> None:
    gone = 4_000_001  # above the highest pid that a kernel gives
    left = [Path(parent) / f"{cgroups.PREFIX}{gone}-1" for _, parent in offered.parents]
    ours = [Path(parent) / f"{cgroups.PREFIX}{os.getpid()}-x" for _, parent in offered.parents]
    for folder in {*left, *ours}:
        folder.mkdir()
    try:
        cgroups.find()
        assert not [folder for folder in left if folder.exists()]
        assert [folder for folder in ours if not folder.exists()] == []
    finally:
        for folder in {*ours, *left}:
            if folder.exists():
                folder.rmdir()


def test_the_same_limits_are_said_in_the_words_of_either_version() -> None:
    said = {
        version: {
            file: value
            for controller in cgroups.WANTED
            for file, value in cgroups._settings(version, controller, LIMITS)
        }
        for version in (1, 2)
    }
    assert said[2] == {"memory.max": str(96 << 20), "pids.max": "18", "cpu.max": "25000 100000"}
    assert said[1] == {
        "memory.limit_in_bytes": str(96 << 20),
        "pids.max": "18",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "25000",
    }
    assert dict(cgroups._settings(2, "cpu", Limits())) == {}, "no share is written where all is granted"


def own(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "own"
    file.write_text(text)
    return file


def test_a_machine_without_groups_says_why(tmp_path: Path) -> None:
    assert cgroups.find(tmp_path, tmp_path / "no").problem == "there are no control groups"
    assert "can be written" in cgroups.find(tmp_path, own(tmp_path, "0::/user\n")).problem
    assert cgroups.Cgroups().controllers == ()


def test_version_2_is_used_only_where_it_was_delegated(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "cgroup.controllers").write_text("cpuset\n")
    assert "delegated" in cgroups.find(tmp_path, own(tmp_path, "0::/app\n")).problem
    (folder / "cgroup.controllers").write_text("memory pids\n")
    (folder / "cgroup.subtree_control").write_text("\n")
    (folder / "cgroup.procs").write_text(f"{os.getpid()}\n1\n")
    assert "shares its control group with process 1" in cgroups.find(tmp_path, own(tmp_path, "0::/app\n")).problem
    assert not (folder / "supervisor").exists()


def test_version_2_moves_the_daemon_into_a_leaf_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (tmp_path / "cgroup.controllers").touch()
    (folder / "cgroup.controllers").write_text("memory pids\n")
    (folder / "cgroup.subtree_control").write_text("\n")
    (folder / "cgroup.procs").write_text(f"{os.getpid()}\n")
    found = cgroups._unified(tmp_path, [["0", "", "/app"]])
    assert found == cgroups.Cgroups(2, (("memory", str(folder)), ("pids", str(folder))))
    assert (folder / "supervisor" / "cgroup.procs").read_text() == str(os.getpid())
    assert (folder / "cgroup.subtree_control").read_text() == "+memory +pids"
    again = cgroups._unified(tmp_path, [["0", "", "/app/supervisor"]])
    assert again.parents == found.parents, "from within its leaf it finds the same"
