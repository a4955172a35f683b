"""The words that start a command under macOS's Seatbelt, what is refused before, and what is read from what it says.

Not run on macOS."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from orchestrald_sandbox import Limits, Mode, Policy, PolicyError, Unavailable, probe, seatbelt
from support.seatbelt_model import parse

TAG, TEMPORARY, GIT_FOLDER = "run-0123456789", "/private/var/folders/zz/abc/T/run-1", "/Users/u/w/.bare/worktrees/x"
WRITE = Mode.WORKSPACE_WRITE
POLICY = Policy(mode=WRITE, workspace="/Users/u/w", plugin_dir="/Users/u/plugins/p")


def test_the_command_is_given_to_apples_own_program_with_each_parameter() -> None:
    words = seatbelt.command(
        POLICY, ["/bin/x", "-p", "a b"], temporary=TEMPORARY, tag=TAG, protected=[GIT_FOLDER], proxy_port=9
    )
    text, parameters = seatbelt.profile(POLICY, temporary=TEMPORARY, tag=TAG, protected=[GIT_FOLDER], proxy_port=9)
    end = words.index("--")
    assert words[:3] == ["/usr/bin/sandbox-exec", "-p", text] and words[-3:] == ["/bin/x", "-p", "a b"]
    assert words[3:end] == [word for pair in parameters.items() for word in ("-D", "=".join(pair))]
    assert words[end + 1 : end + 3] == ["/bin/sh", "-c"] and words[end + 4] == "sh"


def test_the_shells_limits_hold_and_the_arguments_arrive_as_they_were() -> None:
    code = (
        "import json, resource, sys\n"
        "names = ('CORE', 'NOFILE', 'FSIZE', 'CPU')\n"
        "limits = [resource.getrlimit(getattr(resource, 'RLIMIT_' + each)) for each in names]\n"
        "print(json.dumps([sys.argv[1:], *limits]))"
    )
    limits = Limits(open_files=99, file_bytes=1 << 20, cpu_seconds=7)
    arguments = ["a b", "$(exit 3)", "", "'\"\n", "--"]
    done = subprocess.run(
        [*seatbelt.shell(limits), sys.executable, "-I", "-S", "-c", code, *arguments],
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert json.loads(done.stdout) == [arguments, [0, 0], [99, 99], [1 << 20, 1 << 20], [7, 12]]


def test_a_limit_that_cannot_be_set_is_the_end() -> None:
    words = [*seatbelt.shell(Limits(open_files=1 << 40)), "/bin/echo", "ran"]  # more than the kernel gives root
    done = subprocess.run(words, capture_output=True, timeout=20, check=False, text=True)
    assert done.returncode != 0 and done.stdout == ""
    assert "limit" in seatbelt.diagnose(done.stderr)[0]


def test_the_probe_would_notice_a_sandbox_around_it() -> None:
    words = seatbelt.probe_command()
    version, *rules = parse(words[2])
    assert words[0] == seatbelt.SANDBOX_EXEC and words[-1] == "/usr/bin/true" and version == ["version", "1"]
    assert ["allow", "default"] in rules and any(rule[0] == "deny" for rule in rules)


@pytest.mark.parametrize(
    ("stderr", "code", "reason"),
    [
        ("sandbox-exec: sandbox_apply: Operation not permitted\n", 71, "in a sandbox itself"),
        ("noise\nsandbox-exec: execvp() of '/bin/sh' failed: No such file or directory", 71, "could not be executed"),
        ("sandbox-exec: profile:12:3: unbound variable: file-link", 65, "does not accept the sandbox profile"),
        ("sh: line 0: ulimit: open files: cannot modify limit: Invalid argument", 1, "a limit could not be set"),
        ("", -6, "aborted"), ("", 134, "aborted"),
    ],
)  # fmt: skip
def test_what_is_said_becomes_a_reason_and_a_hint(stderr: str, code: int, reason: str) -> None:
    got, hint = seatbelt.diagnose(stderr, code)
    assert reason in got and hint


def test_what_is_not_known_is_told_as_it_is() -> None:
    assert seatbelt.diagnose("odd\n") == ("the sandbox did not start: odd", "")
    assert "gave no reason" in seatbelt.diagnose("", 1)[0]


@pytest.mark.skipif(sys.platform == "darwin", reason="there it is available")
def test_it_is_unavailable_anywhere_else() -> None:
    reason = seatbelt.available()
    assert isinstance(reason, Unavailable) and "macOS" in reason.hint


def test_where_the_program_is_missing_it_is_unavailable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(seatbelt, "SANDBOX_EXEC", "/nowhere/sandbox-exec")
    reason = seatbelt.available()
    assert reason is not None and "/nowhere/sandbox-exec" in reason.reason
    monkeypatch.setattr(seatbelt, "SANDBOX_EXEC", "/bin/sh")
    assert seatbelt.available() is None


def test_the_checks_are_some_of_the_probes() -> None:
    assert set(seatbelt.EXPECTED) < set(sys.modules[probe.__module__].EXPECTED)


def test_what_holds_less_is_told() -> None:
    told = " ".join(seatbelt.weaker())
    for word in ("not run it on macOS", "setsid", "address space", "number of processes", "proxy"):
        assert word in told


# --- what was denied -------------------------------------------------------------------------------------------------


def logged(message: str, **more: object) -> str:
    return json.dumps({"eventMessage": message, "processID": 0} | more)


def test_the_log_is_asked_for_this_run_and_for_the_kernels_words_only() -> None:
    *words, predicate = seatbelt.log_command(TAG)
    assert words == ["/usr/bin/log", "stream", "--style", "ndjson", "--predicate"]
    assert f'AND eventMessage ENDSWITH "{TAG}"' in predicate and "processID == 0" in predicate


def test_denials_are_read_once_each_in_order_and_of_this_run_only() -> None:
    lines = [
        "Filtering the log data using ...", "", "[]", "{", "[" * 100_000, '{"eventMessage": 3}',
        logged(f"Sandbox: python3.12(812) deny(1) file-write-create /Users/u/w/.git/x\n{TAG}"),
        logged(f"Sandbox: python3.12(813) deny(1) file-write-create /Users/u/w/.git/x\n{TAG}"),
        logged(f"Sandbox: sh(814) deny(1) process-fork\n{TAG}"),
        logged(f"Sandbox: a (b)(815) deny(1) mach-lookup com.apple.x {TAG}"),
        logged("Sandbox: sh(814) deny(1) file-read-data /x\nrun-9999999999"),
        logged("Sandbox: sh(814) deny(1) file-read-data /x"),
        logged(f"hello deny(1) file-read-data /x\n{TAG}"),
        logged(f"Sandbox: sh(816) deny(1) file-read-data /a\x1b[2J\nb\u202e\n{TAG}"),
    ]  # fmt: skip
    assert seatbelt.denials(lines, TAG) == [
        "file-write-create /Users/u/w/.git/x", "process-fork", "mach-lookup com.apple.x",
        "file-read-data /a\\x1b[2J\\nb\\u202e",
    ]  # fmt: skip


def test_denials_are_bounded() -> None:
    flood = (
        logged(f"Sandbox: sh(1) deny(1) file-read-data /{number}{'x' * 5000}\n{TAG}") for number in itertools.count()
    )
    found = seatbelt.denials(flood, TAG)
    assert len(found) == 100 and max(map(len, found)) <= 400


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "known"),
    [("/tmp", "/private/tmp"), ("/tmp/x", "/private/tmp/x"), ("/var/folders/a", "/private/var/folders/a"),
     ("/etc/x", "/private/etc/x"), ("/tmpx", "/tmpx"), ("/private/tmp", "/private/tmp"),
     ("/Users/u/tmp", "/Users/u/tmp"), ("/System/Volumes/Data/Users/u", "/Users/u"),
     ("/System/Volumes/Data/private/tmp/x", "/private/tmp/x"),
     ("/System/Volumes/Data/x", "/System/Volumes/Data/x"), ("/System/Volumes/Data", "/System/Volumes/Data")],
)  # fmt: skip
def test_the_spelling_is_that_of_the_kernel(path: str, known: str) -> None:
    assert seatbelt.canonical(path) == known == seatbelt.canonical(known)


@pytest.mark.parametrize(
    "policy",
    [Policy(mode=Mode.NONE), *(Policy(workspace=path) for path in (
        "/Users", "/Volumes", "/private", "/private/tmp", "/opt", "/System/Library/x", "/System/Volumes/Data/Users",
        "/private/var/folders/zz/abc", "/private/var/folders/zz/abc/T", "/Users/u/\udcff",
    )), Policy(mode=WRITE, workspace="/Library/x"), Policy(workspace="/USERS"),
     Policy(mode=WRITE, workspace="/usr/local/bin"), Policy(workspace="/Users/u/w", read_roots=("/users/u/W",)),
     Policy(workspace=TEMPORARY), Policy(plugin_dir=TEMPORARY.removeprefix("/private")),
     Policy(read_roots=(TEMPORARY,)),
     Policy(mode=WRITE, workspace="/Users/u/w", protected=("../x",))],
)  # fmt: skip
def test_a_policy_that_cannot_be_held_is_refused(policy: Policy) -> None:
    with pytest.raises(PolicyError):
        seatbelt.profile(policy, temporary=TEMPORARY, tag=TAG)


@pytest.mark.parametrize(
    "temporary", ["/private/tmp", "/tmp", "/var/folders/zz/abc/T", "relative", "/Users/u/../x", "/a\0b", "/"]
)
def test_a_temporary_folder_that_is_not_the_runs_own_is_refused(temporary: str) -> None:
    with pytest.raises(PolicyError):
        seatbelt.profile(POLICY, temporary=temporary, tag=TAG)


@pytest.mark.parametrize("tag", ["", "short", 'x") (allow default) (', "a" * 65, "run 12345678", "run-12345678\n"])
def test_a_tag_that_could_be_more_than_a_word_is_refused(tag: str) -> None:
    with pytest.raises(PolicyError):
        seatbelt.profile(POLICY, temporary=TEMPORARY, tag=tag)
    with pytest.raises(PolicyError):
        seatbelt.log_command(tag)


def test_another_user_a_bad_port_and_an_unclear_command_are_refused() -> None:
    with pytest.raises(Unavailable):
        seatbelt.profile(replace(POLICY, run_as=(1, 1)), temporary=TEMPORARY, tag=TAG)
    for port in (0, -1, 65536):
        with pytest.raises(PolicyError):
            seatbelt.profile(POLICY, temporary=TEMPORARY, tag=TAG, proxy_port=port)
    for argv in ([], ["python3"], ["-c"]):
        with pytest.raises(PolicyError):
            seatbelt.command(POLICY, argv, temporary=TEMPORARY, tag=TAG)
