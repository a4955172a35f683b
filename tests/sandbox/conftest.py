"""Fixtures of the boundary's tests. Tests marked `kernel` start bwrap; the others touch temporary files at
most."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrald_sandbox import (
    Host,
    Policy,
    Unavailable,
    environment,
    inspect,
    prepare,
    protected,
    status,
)
from support.sandboxed import let_in


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kernel: starts bwrap, and asserts what the kernel did")


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    stdout: str
    stderr: str
    status: status.Status
    before: protected.Found


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state").resolve()
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.getuid() and each != Path("/") and each.name.startswith(("state", "pytest")):
            each.chmod(0o711)  # for run_as
    return folder


@pytest.fixture(scope="session")
def host(state: Path) -> Host:
    try:
        return inspect(state, users=((65534, 65534),))
    except Unavailable as error:
        if os.environ.get("CI") == "true" or os.environ.get("ORCHESTRAL_REQUIRE_KERNEL") == "1":
            pytest.fail(f"this machine is meant to have a sandbox: {error}")
        pytest.skip(f"NOT TESTED, THE BOUNDARY WAS NOT TRIED: {error}")


@pytest.fixture
def example() -> Host:
    """A machine on paper, for what is decided without one."""
    return Host(
        bwrap="/usr/bin/bwrap", prlimit="/usr/bin/prlimit", arch="x86_64", uid=1000,
        etc="/state/etc-staged/0123", setpriv="/usr/bin/setpriv", resolv_conf="/run/resolv.conf",
        root_links=(("/bin", "usr/bin"), ("/sbin", "usr/sbin"), ("/lib", "usr/lib"), ("/lib64", None)),
    )  # fmt: skip


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """A workspace, a plugin's folder, a scratch folder and a private one with a secret in it."""
    found = {name: tmp_path.resolve() / name for name in ("workspace", "plugin", "scratch", "private")}
    for place in found.values():
        place.mkdir()
    (found["private"] / "secret").write_text("the secret")
    (found["workspace"] / "known").write_text("known")
    return found


@pytest.fixture
def policy(places: dict[str, Path]) -> Policy:
    return Policy(workspace=str(places["workspace"]), plugin_dir=str(places["plugin"]), scratch=str(places["scratch"]))


@pytest.fixture
def run(host: Host) -> Run:
    """Run a command under a policy to its end, at most 20 s."""

    def run(policy: Policy, command: list[str], env: dict[str, str] | None = None, host: Host = host) -> Outcome:
        with prepare(policy, command, environment.base() | (env or {}), host) as prepared:
            process = subprocess.Popen(
                prepared.argv, env=prepared.env, cwd=prepared.cwd, pass_fds=prepared.pass_fds,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        try:
            written = let_in(prepared)
            stdout, stderr = process.communicate(timeout=20)
            assert prepared.status_read_fd is not None
            with open(prepared.status_read_fd, "rb", closefd=False) as pipe:
                written += pipe.read()
        finally:
            process.kill()
            prepared.abandon()
        return Outcome(process.returncode, stdout, stderr, status.read(written), prepared.protected_before)

    return run


@pytest.fixture(scope="session")
def python() -> str:
    """A python that needs nothing but /usr."""
    for path in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.access(path, os.X_OK):
            return path
    pytest.skip(f"NO PYTHON UNDER /usr; {sys.executable} is not tried here")
