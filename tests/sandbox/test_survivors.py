"""What a run has left behind is found by the folder that its environment names, and by nothing else."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrald_sandbox import Host, Policy, environment, prepare, survivors
from support.sandboxed import let_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
STAY = "import os, time; print('there', flush=True); time.sleep(60)"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


def start(started: list[subprocess.Popen[bytes]], folder: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", STAY], env={survivors.VARIABLE: folder}, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_only_what_names_the_folder_or_something_in_it_is_found(started, tmp_path: Path) -> None:
    root = str(tmp_path)
    inside, itself, beside = (start(started, path) for path in (f"{root}/exec_1", root, f"{root}-else/exec_1"))
    assert set(survivors.find(root)) == {inside.pid, itself.pid}
    assert survivors.find(f"{root}/exec_1") == (inside.pid,)
    assert survivors.end(root) == 2
    assert inside.wait(10) == itself.wait(10) == -9
    assert beside.poll() is None
    assert survivors.end(root) == 0


@pytest.mark.kernel
def test_a_sandbox_is_found_by_its_first_process_and_dies_whole(host: Host, policy: Policy, python: str) -> None:
    folder = str(policy.scratch)
    code = "import os, time; os.fork(); print('there', flush=True); time.sleep(60)"
    # The command cleans its environment; that of the first process, it cannot.
    command = ["/usr/bin/env", "-i", python, "-I", "-S", "-c", code]
    with prepare(policy, command, environment.base() | {survivors.VARIABLE: folder}, host) as prepared:
        process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE)
    let_in(prepared)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 10)[0]
    assert survivors.end(folder) >= 1
    process.wait(10)
    process.stdout.read()  # ends only when nothing of it holds it
    process.stdout.close()
    prepared.abandon()
    assert os.getpid() not in survivors.find(folder)
