"""What the kernel really does to a confined command. Each test is one way out, and the outcome of trying
it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrald_sandbox import (
    FsRead,
    Host,
    Limits,
    Mode,
    Network,
    Policy,
    PolicyError,
    Prepared,
    environment,
    prepare,
    protected,
    resolve,
    status,
    usage,
)  # fmt: skip
from support.sandboxed import let_in

pytestmark = pytest.mark.kernel
Places = dict[str, Path]
Run = Callable[..., "object"]


@pytest.fixture
def ask(run, python, places):  # type: ignore[no-untyped-def]
    """Evaluate a Python expression inside; the value comes back through JSON. An OSError comes back as its
    name."""

    def ask(policy: Policy, expression: str, setup: str = "", **options: object) -> object:
        code = (
            "import errno, json, os, socket, sys\n"
            f"{setup}\n"
            f"try: value = {expression}\n"
            "except OSError as error: value = errno.errorcode[error.errno]\n"
            "print(json.dumps(value))"
        )
        outcome = run(policy, [python, "-I", "-S", "-c", code], **options)
        assert outcome.status.exit_code == 0, outcome
        return json.loads(outcome.stdout)

    return ask


def writing(path: Path | str) -> str:
    return f"os.write(os.open({str(path)!r}, os.O_WRONLY | os.O_CREAT), b'x')"


@pytest.fixture
def writable(policy: Policy) -> Policy:
    return replace(policy, mode=Mode.WORKSPACE_WRITE)


# --- what can be seen
# -------------------------------------------------------------------------------------------


def test_the_first_process_shows_nothing_of_the_daemons_environment(ask, policy, monkeypatch) -> None:
    monkeypatch.setenv("DAEMON_API_KEY", "secret-key")
    seen = ask(policy, "open('/proc/1/environ').read() + repr(dict(os.environ))")
    assert "secret-key" not in seen and "HOME=/tmp/home" in seen


def test_the_command_line_of_the_sandbox_tells_no_path(ask, policy, places) -> None:
    assert str(places["workspace"]) not in ask(policy, "open('/proc/1/cmdline').read()")


def test_no_process_of_the_host_is_visible(ask, policy) -> None:
    pids = [int(name) for name in ask(policy, "os.listdir('/proc')") if name.isdigit()]
    assert len(pids) <= 2
    assert ask(policy, "os.kill(-1, 0)", env={}) in (None, "ESRCH", "EPERM")


def test_only_the_three_standard_descriptors_are_open(ask, writable, places) -> None:
    (places["workspace"] / ".git").mkdir()
    (places["workspace"] / "hidden").write_text("x")
    policy = replace(writable, masked=(str(places["workspace"] / "hidden"), "/root", str(places["private"])))
    for each in (policy, replace(policy, fs_read=FsRead.HOST)):
        # The listing's own descriptor is gone again when the names are looked at.
        listed = "[name for name in os.listdir('/proc/self/fd') if os.path.islink('/proc/self/fd/' + name)]"
        assert sorted(ask(each, listed)) == ["0", "1", "2"]


def test_files_that_were_not_granted_do_not_exist(ask, policy, places) -> None:
    secret = places["private"] / "secret"
    assert ask(policy, f"open({str(secret)!r}).read()") == "ENOENT"
    assert ask(policy, f"os.listdir('/proc/self/root{places['private']}')") == "ENOENT"
    assert ask(policy, "open('/etc/shadow').read()") == "ENOENT"


def test_the_staged_etc_names_nobody_of_the_host(ask, policy) -> None:
    names = ask(policy, "[line.split(':')[0] for line in open('/etc/passwd')]")
    assert set(names) <= {"root", "nobody", f"plugin{os.getuid()}", "plugin65534"}
    assert ask(policy, "socket.gethostbyname('localhost')") == "127.0.0.1"


def test_with_the_whole_disk_shown_what_is_masked_is_empty(ask, policy, places) -> None:
    shown = replace(policy, fs_read=FsRead.HOST, masked=("/root", str(places["private"]), "/etc/passwd"))
    assert ask(shown, "os.listdir('/root')") in ([], "EACCES")
    assert ask(shown, "open('/etc/passwd').read()") == "EACCES"
    assert ask(shown, "len(os.listdir('/var')) > 2") is True
    assert ask(shown, writing("/run/x")) == "EROFS"


def test_a_folder_below_a_masked_one_is_still_shown_where_it_was_granted(ask, places, tmp_path) -> None:
    base = Path("/var/lib") / f"orchestrald-test-{os.getpid()}"
    inner = base / "workspace"
    inner.mkdir(parents=True)
    try:
        (inner / "file").write_text("here")
        (base / "beside").write_text("hidden")
        policy = Policy(workspace=str(inner), fs_read=FsRead.HOST, masked=(str(base),), mode=Mode.WORKSPACE_WRITE)
        assert ask(policy, f"open('{inner}/file').read()") == "here"
        assert ask(policy, f"os.listdir('{base}')") == ["workspace"]
        assert ask(policy, writing(base / "new")) == "EROFS"
        assert ask(policy, writing(inner / "new")) == 1
    finally:
        for path in (inner / "new", inner / "file", base / "beside"):
            path.unlink(missing_ok=True)
        inner.rmdir()
        base.rmdir()


def test_a_masked_file_within_the_workspace_cannot_be_read(ask, writable, places) -> None:
    hidden = places["workspace"] / ".env"
    hidden.write_text("KEY=1")
    for policy in (writable, replace(writable, mode=Mode.READ_ONLY)):
        assert ask(replace(policy, masked=(str(hidden),)), f"open('{hidden}').read()") == "EACCES"
    assert hidden.read_text() == "KEY=1"


# --- what can be written
# ----------------------------------------------------------------------------------------


def test_the_workspace_is_writable_in_workspace_write(ask, writable, places) -> None:
    assert ask(writable, writing(places["workspace"] / "new")) == 1
    assert (places["workspace"] / "new").read_text() == "x"


def test_the_workspace_is_only_readable_in_read_only(ask, policy, places) -> None:
    workspace = places["workspace"]
    assert ask(policy, f"open('{workspace}/known').read()") == "known"
    assert ask(policy, writing(workspace / "new")) == "EROFS"
    assert ask(policy, f"os.unlink('{workspace}/known')") == "EROFS"
    assert ask(policy, f"os.chmod('{workspace}/known', 0o600)") == "EROFS"


def test_scratch_is_writable_in_every_mode_at_the_same_path(ask, policy, writable, places) -> None:
    for number, each in enumerate((policy, writable, replace(policy, fs_read=FsRead.HOST))):
        assert ask(each, writing(places["scratch"] / str(number))) == 1
    assert sorted(os.listdir(places["scratch"])) == ["0", "1", "2"]


@pytest.mark.parametrize("path", ["/x", "/etc/x", "/usr/x", "/var/x", "/run/x", "/dev/x", "/proc/x"])
def test_nothing_of_the_system_is_writable(ask, writable, path) -> None:
    assert ask(writable, writing(path)) in ("EROFS", "ENOENT" if path.startswith("/proc") else "EROFS")


def test_the_plugins_own_folder_is_read_only(ask, writable, places) -> None:
    assert ask(writable, writing(places["plugin"] / "x")) == "EROFS"
    within = places["workspace"] / "plugin"
    within.mkdir()
    assert ask(replace(writable, plugin_dir=str(within)), writing(within / "x")) == "EROFS"


def test_the_kernels_settings_cannot_be_opened_for_writing(ask, policy) -> None:
    # Opened, not written: without the read-only /proc a write would change this very machine.
    for name in ("kernel/core_pattern", "vm/drop_caches", "kernel/modprobe"):
        if os.path.exists(f"/proc/sys/{name}"):
            assert ask(policy, f"os.open('/proc/sys/{name}', os.O_WRONLY)") in ("EROFS", "EACCES", "EPERM")


def test_the_workspace_cannot_be_renamed_away(ask, writable, places) -> None:
    workspace = str(places["workspace"])
    assert ask(writable, f"os.rename({workspace!r}, {workspace + '2'!r})") in ("EBUSY", "EROFS")


def test_links_out_of_the_workspace_lead_nowhere(ask, writable, places) -> None:
    workspace, secret = places["workspace"], places["private"] / "secret"
    (workspace / "link").symlink_to(secret)
    assert ask(writable, f"open('{workspace}/link').read()") == "ENOENT"
    assert ask(writable, f"os.link('/etc/passwd', '{workspace}/hard')") in ("EXDEV", "EPERM")


def test_temporary_folders_end_at_their_size(ask, policy) -> None:
    small = replace(policy, limits=Limits(tmp_bytes=1 << 20, shm_bytes=1 << 20, var_tmp_bytes=1 << 20))
    for folder in ("/tmp", "/dev/shm", "/var/tmp"):
        expression = "[os.write(file, bytes(1 << 16)) for _ in range(64)]"
        setup = f"file = os.open('{folder}/big', os.O_WRONLY | os.O_CREAT)"
        assert ask(small, expression, setup) == "ENOSPC"


def test_a_set_id_file_cannot_be_left_behind(ask, writable, places) -> None:
    path = places["workspace"] / "shell"
    path.write_text("")
    assert ask(writable, f"os.chmod('{path}', 0o4755)") == "EPERM"
    assert ask(writable, f"os.open('{path}2', os.O_CREAT | os.O_WRONLY, 0o4755)") == "EPERM"


@pytest.mark.parametrize("mode", [Mode.READ_ONLY, Mode.WORKSPACE_WRITE])
def test_a_bwrap_that_only_takes_paths_holds_as_well(ask, host, policy, places, mode) -> None:
    (places["workspace"] / ".git").mkdir()
    old = replace(host, has_bind_fd=False)
    listed = "[name for name in os.listdir('/proc/self/fd') if os.path.islink('/proc/self/fd/' + name)]"
    policy = replace(policy, mode=mode)
    assert sorted(ask(policy, listed, host=old)) == ["0", "1", "2"]
    assert ask(policy, writing(places["workspace"] / ".git" / "x"), host=old) == "EROFS"
    assert ask(policy, writing(places["scratch"] / "x"), host=old) == 1


# --- what is protected
# ------------------------------------------------------------------------------------------


def test_what_is_protected_can_be_read_and_neither_changed_nor_moved(ask, writable, places) -> None:
    hooks = places["workspace"] / "sub" / ".git" / "hooks"
    hooks.mkdir(parents=True)
    git = hooks.parent
    assert ask(writable, f"os.listdir('{git}')") == ["hooks"]
    assert ask(writable, writing(hooks / "pre-commit")) == "EROFS"
    assert ask(writable, f"os.rename('{git}', '{git}2')") in ("EBUSY", "EROFS")


def test_a_protected_name_that_a_run_creates_is_moved_away_after_it(run, writable, places, python, tmp_path) -> None:
    workspace = places["workspace"]
    (workspace / "sub" / ".git").mkdir(parents=True)
    code = (
        f"import os; os.chdir({str(workspace)!r}); open('.envrc', 'w').write('evil')\n"
        "os.rename('sub', 'moved'); os.makedirs('sub/.git/hooks'); open('fine', 'w')"
    )
    outcome = run(writable, [python, "-I", "-S", "-c", code])
    assert outcome.code == 0, outcome.stderr
    found = protected.after(writable.roots(), writable.protected, outcome.before, str(tmp_path / "quarantine"))
    assert sorted(each.path for each in found) == [f"{workspace}/.envrc", f"{workspace}/sub/.git"]
    assert sorted(os.listdir(tmp_path / "quarantine")) == ["0-envrc", "1-git"]
    assert (workspace / "moved" / ".git").is_dir() and (workspace / "fine").exists()


def test_a_protected_name_that_is_a_link_is_not_started(host, writable, places) -> None:
    (places["workspace"] / ".git").symlink_to(places["private"])
    with pytest.raises(PolicyError, match="is a link"):
        prepare(writable, ["/usr/bin/true"], {}, host)


def test_a_workspace_reached_through_a_link_is_not_started(host, policy, places, tmp_path) -> None:
    (tmp_path / "link").symlink_to(places["workspace"])
    with pytest.raises(PolicyError, match="link"):
        prepare(replace(policy, workspace=str(tmp_path.resolve() / "link")), ["/usr/bin/true"], {}, host)
    (tmp_path / "above").symlink_to(tmp_path)
    with pytest.raises(PolicyError, match="link"):
        prepare(replace(policy, workspace=str(tmp_path.resolve() / "above/workspace")), ["/bin/true"], {}, host)
    with pytest.raises(PolicyError, match="No such file"):
        prepare(replace(policy, workspace=str(tmp_path.resolve() / "no")), ["/usr/bin/true"], {}, host)


def test_a_workspace_replaced_after_the_check_is_not_what_is_mounted(host, policy, places, tmp_path) -> None:
    with prepare(policy, ["/usr/bin/cat", f"{policy.workspace}/known"], environment.base(), host) as prepared:
        places["workspace"].rename(tmp_path / "away")
        places["workspace"].mkdir()
        (places["workspace"] / "known").write_text("swapped")
        process = subprocess.Popen(
            prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    let_in(prepared)
    said, _ = process.communicate(timeout=20)
    prepared.abandon()
    assert b"swapped" not in said
    assert not prepared.roots_unmoved()


# --- what can be reached
# ----------------------------------------------------------------------------------------


def test_the_hosts_loopback_is_not_reached(ask, policy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        expression = f"socket.create_connection(('127.0.0.1', {port}), 2).close()"
        assert ask(policy, expression) == "ECONNREFUSED"
        assert ask(replace(policy, network=Network.HOST), expression) is None
    assert ask(policy, "socket.create_connection(('1.1.1.1', 53), 2)") == "ENETUNREACH"


@pytest.mark.parametrize("family", [1, 16, 17, 38, 40])
def test_families_beyond_the_network_namespace_are_refused(ask, policy, family) -> None:
    assert ask(policy, f"socket.socket({family}, socket.SOCK_DGRAM)") == "EAFNOSUPPORT"
    assert ask(policy, "len(socket.socketpair())") == 2


def test_a_socket_file_is_reached_only_where_unix_sockets_are_granted(ask, policy, places, monkeypatch) -> None:
    monkeypatch.chdir(places["workspace"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        listener.listen()
        # By a short relative name: a socket's path has room for 108 characters.
        setup = f"os.chdir('{places['workspace']}'); connect = lambda: socket.socket(socket.AF_UNIX).connect('s')"
        assert ask(policy, "connect()", setup) == "EAFNOSUPPORT"
        assert ask(replace(policy, unix_sockets=True), "connect()", setup) is None


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [("unshare", 272, "EPERM"), ("keyctl", 250, "EPERM"), ("mount", 165, "EPERM"), ("ptrace", 101, "EPERM"),
     ("bpf", 321, "EPERM"), ("clone3", 435, "ENOSYS"), ("io_uring_setup", 425, "ENOSYS"),
     ("openat2", 437, "ENOSYS"),
     ("x32 getpid", 0x40000027, "ENOSYS")],
)  # fmt: skip
def test_the_loaded_filter_refuses(ask, host, policy, name, number, expected) -> None:
    if host.arch != "x86_64":
        pytest.skip("numbers of x86_64")
    setup = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)"
    expression = f"(libc.syscall(ctypes.c_long({number}), 0, 0, 0, 0, 0), errno.errorcode[ctypes.get_errno()])"
    assert ask(policy, expression, setup) == [-1, expected]


def test_capabilities_are_gone_and_cannot_come_back(ask, policy) -> None:
    text = ask(policy, "open('/proc/self/status').read()")
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert all(int(fields[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


# --- how it ends
# ------------------------------------------------------------------------------------------------


def test_an_orphan_in_a_session_of_its_own_dies_with_the_command(run, policy, places, python) -> None:
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    os._exit(0)\n"
        "print('done')"
    )
    outcome = run(policy, [python, "-I", "-S", "-c", code])  # would wait for the orphan's stdout
    assert outcome.stdout == "done\n" and outcome.status.exit_code == 0


def start(policy: Policy, host: Host, command: list[str]) -> tuple[subprocess.Popen[bytes], Prepared, status.Status]:
    with prepare(policy, command, environment.base(), host) as prepared:
        process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE)
    assert prepared.status_read_fd is not None and process.stdout is not None
    seen = status.read(let_in(prepared))
    assert select.select([process.stdout], [], [], 20)[0], "the command did not say that it runs"
    process.stdout.readline()
    return process, prepared, seen


def test_killing_the_first_process_inside_ends_everything(host, policy, python) -> None:
    code = "import os, time; os.fork(); os.fork(); print('runs', flush=True); time.sleep(60)"
    process, prepared, seen = start(policy, host, [python, "-I", "-S", "-c", code])
    assert seen.child is not None and len(usage.processes(seen.child)) >= 3
    assert usage.resident(usage.processes(seen.child)) > 1 << 20
    os.kill(seen.child, signal.SIGKILL)
    assert process.wait(10) == 128 + signal.SIGKILL
    assert process.stdout is not None
    process.stdout.read()  # ends only when no process holds it
    process.stdout.close()
    assert usage.processes(seen.child) == ()
    assert prepared.status_read_fd is not None
    assert status.read(os.read(prepared.status_read_fd, 4096)).exit_code == 128 + signal.SIGKILL
    prepared.abandon()


def test_killing_the_outer_process_ends_everything(host, policy, python) -> None:
    process, prepared, seen = start(
        policy, host, [python, "-I", "-S", "-c", "import time; print('runs', flush=True); time.sleep(60)"]
    )
    assert seen.child is not None
    inner = os.pidfd_open(seen.child)
    process.kill()
    process.wait(10)
    assert select.select([inner], [], [], 10)[0]
    assert process.stdout is not None
    process.stdout.read()
    process.stdout.close()
    os.close(inner)
    prepared.abandon()


@pytest.mark.parametrize("door", ["released", "closed"])
def test_the_death_of_the_daemon_ends_everything(host, state, policy, python, tmp_path, door) -> None:
    daemon = (
        "import subprocess, sys, pickle\n"
        "from orchestrald_sandbox import prepare, environment, status\n"
        "import os\n"
        "policy, host = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        f"command = [{python!r}, '-I', '-S', '-c', \"import time; print('r', flush=True); time.sleep(60)\"]\n"
        "with prepare(policy, command, environment.base(), host) as p:\n"
        "    c = subprocess.Popen(p.argv, env=p.env, pass_fds=p.pass_fds, stdout=subprocess.PIPE)\n"
        "written = b''\n"
        "while (child := status.read(written).child) is None: written += os.read(p.status_read_fd, 4096)\n"
        "if sys.argv[2] == 'released':\n"
        "    p.release()\n"
        "    c.stdout.readline()\n"
        "print(child, flush=True)\n"
        "sys.stdin.read()\n"
    )
    import pickle

    process = subprocess.Popen(
        [sys.executable, "-c", daemon, pickle.dumps((policy, host)).hex(), door], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    child = int(process.stdout.readline())
    inner = os.pidfd_open(child)
    process.kill()
    process.wait(10)
    assert select.select([inner], [], [], 10)[0]
    os.close(inner)
    process.stdin.close()
    process.stdout.close()


def test_the_status_tells_a_command_that_failed_from_a_sandbox_that_did(run, host, policy, places) -> None:
    assert run(policy, ["/usr/bin/false"]).status.exit_code == 1
    outcome = run(replace(policy, cwd="/no/such/folder"), ["/usr/bin/true"])
    assert (outcome.code, outcome.status.exit_code) == (1, None) and "chdir" in outcome.stderr
    with pytest.raises(PolicyError, match="No such file"):
        prepare(policy.reading([str(places["private"] / "no")]), ["/usr/bin/true"], {}, host)


def test_limits_hold_and_cannot_be_raised(ask, run, policy, python, places) -> None:
    tight = replace(policy, limits=Limits(open_files=32, file_bytes=1 << 16, address_space_bytes=1 << 28))
    setup = "import resource"
    assert ask(tight, "resource.getrlimit(resource.RLIMIT_NOFILE)", setup) == [32, 32]
    assert ask(tight, "resource.getrlimit(resource.RLIMIT_CORE)", setup) == [0, 0]
    raised = "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
    assert run(tight, [python, "-I", "-S", "-c", f"import resource; {raised}"]).code == 1
    big = run(tight, [python, "-I", "-S", "-c", "bytearray(1 << 29)"])
    assert "MemoryError" in big.stderr
    default = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)"
    written = f"{default}; open('{places['scratch']}/f', 'wb').write(bytes(1 << 20))"
    assert run(tight, [python, "-I", "-S", "-c", written]).code == 128 + signal.SIGXFSZ


def test_another_user_has_a_process_limit_of_its_own(run, host, policy, places, python, tmp_path) -> None:
    if os.getuid() != 0:
        pytest.skip("only a daemon of uid 0 can take on another user")
    for path in (tmp_path, *tmp_path.parents):
        if path.name.startswith("pytest") or path == tmp_path:
            path.chmod(0o711)
    code = (
        "import os\n"
        "made = 0\n"
        "try:\n"
        "    while made < 50:\n"
        "        if os.fork() == 0: os.read(os.pipe()[0], 1)\n"
        "        made += 1\n"
        "except OSError: pass\n"
        "print(os.getuid(), made)"
    )
    outcome = run(replace(policy, run_as=(65534, 65534), limits=Limits(processes=16)), [python, "-I", "-S", "-c", code])
    uid, made = outcome.stdout.split()
    assert uid == "65534" and 10 <= int(made) <= 16, outcome


def test_an_interpreter_outside_usr_runs_with_what_it_needs(run, policy, places, monkeypatch) -> None:
    script = places["plugin"] / "main.py"
    script.write_text("#!/usr/bin/env python3\nimport ssl, sqlite3, json, sys; print(sys.prefix)\n")
    script.chmod(0o755)
    folder = os.path.dirname(sys.executable)
    found = resolve(["./main.py"], folder=str(places["plugin"]), path=f"{folder}:{environment.PATH}", home="/root")
    outcome = run(policy.reading(found.read_roots), list(found.argv), {"PATH": ":".join(found.path)})
    assert outcome.stdout.strip() == sys.prefix, outcome
