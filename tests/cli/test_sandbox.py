"""What does `orchestral sandbox` print and ask, and with which number does it end?"""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli.main import dispatch
from orchestrald.cli.sandbox import describe, verdict
from orchestrald.cli.terminal import plain

EXPLAINED: dict[str, Any] = {
    "action": "words.count",
    "plugin": "words",
    "runs": "program",
    "sandboxed": True,
    "says": "It sees what is listed.",
    "mode": "workspace_write",
    "backend": "bubblewrap",
    "network": "proxy",
    "fs_read": "minimal",
    "unix_sockets": False,
    "why": [{"what": "mode", "value": "workspace_write", "because": "plugins.grants.words.mode says so"}],
    "refused": ["network host was asked for, proxy is granted"],
    "reads": [{"path": "/usr", "why": "the system's"}, {"path": "/srv/\x1b[2J", "why": "odd"}],
    "writes": [{"path": "/tmp", "why": "its own"}],
    "protected": [".git", ".env*"],
    "protected_found": ["/srv/.git"],
    "hidden": ["/srv/secrets"],
    "network_says": "only through the proxy",
    "destinations": [["*.example.com:443"], ["a.example.com:443"]],
    "limits": [
        {"name": "memory_bytes", "value": 1 << 30, "by": "cgroup v2", "because": "the manifest"},
        {"name": "processes", "value": 128, "by": "rlimit", "because": "the default"},
        {"name": "cpu_seconds", "value": 60, "by": "rlimit", "because": "sandbox.limits"},
    ],
    "user": "uid 1000",
    "weaker": ["fs_read is host"],
    "command": ["/usr/bin/python3", "main.py"],
    "cwd": "/srv/words",
    "environment": ["HOME", "PATH"],
    "argv": [["/usr/bin/bwrap"], ["--ro-bind", "/usr", "/usr"], ["--", "/usr/bin/python3", "main.py"]],
}
TRIED = {"action": "a", "backend": "bubblewrap", "stdout": "", "stderr": "", "status": 0, "violations": []}


def test_an_explanation_is_words_first_and_then_an_option_a_line() -> None:
    said = plain(describe(EXPLAINED))
    lines = said.split("\n")
    assert lines[0] == "words.count  a program, of the plugin words"
    order = [
        "whose word it is",
        "refused",
        "may read",
        "may write",
        "must not write",
        "hidden",
        "network",
        "Unix sockets",
    ]
    order += ["limits", "runs as", "weaker here", "what starts it"]
    places = [next(at for at, line in enumerate(lines) if line.strip().startswith(word)) for word in order]
    assert places == sorted(places)
    assert lines[-3:] == ["  /usr/bin/bwrap", "  --ro-bind /usr /usr", "  -- /usr/bin/python3 main.py"]
    assert "memory 1.0 GiB" in said and "cgroup v2 (the manifest)" in said
    assert "(the default)" not in said and "cpu 60 seconds" in said
    assert "*.example.com:443  the operator's list" in said and "a.example.com:443  the manifest's list" in said
    assert "\x1b" not in said and "/srv/\\x1b[2J" in said


def test_what_is_wrong_is_said_before_everything_else() -> None:
    problem = {"message": "bwrap is not installed", "hint": "Install it."}
    lines = plain(describe(EXPLAINED | {"problem": problem})).split("\n")
    assert lines[1:3] == ["  it would not run: bwrap is not installed", "  Install it."]


def test_an_action_that_is_part_of_the_daemon_is_told_in_two_lines() -> None:
    told = {"action": "echo", "plugin": "echo", "runs": "in_process", "sandboxed": False, "says": "It is trusted."}
    assert plain(describe(told)).split("\n") == ["echo  in the daemon, of the plugin echo", "  It is trusted."]


def test_explain_asks_about_the_current_folder(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["sandbox.explain"] = EXPLAINED
    monkeypatch.chdir(tmp_path)
    assert dispatch(["sandbox", "explain", "words.count", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == EXPLAINED
    assert dispatch(["sandbox", "explain", "words.count", "--workspace", "/usr"]) == 0
    asked = daemon.params_of("sandbox.explain")
    assert asked == [
        {"action": "words.count", "workspace": str(tmp_path)},
        {"action": "words.count", "workspace": "/usr"},
    ]


def test_everything_after_the_two_dashes_is_the_command(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["sandbox.try"] = TRIED | {"stdout": "out\n", "stderr": "err\n"}
    words = ["sandbox", "try", "a", "--timeout", "2.5", "--", "ls", "--json", "--", "-x", ""]
    assert dispatch(words) == 0
    (asked,) = daemon.params_of("sandbox.try")
    assert (asked["argv"], asked["timeout_ms"]) == (["ls", "--json", "--", "-x", ""], 2500)
    assert capsys.readouterr() == ("out\n", "err\n")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({"status": 0}, 0),
        ({"status": 3}, 3),
        ({"status": 137}, 137),
        ({"timed_out": True}, 1),
        ({"error": {"code": "cannot_run", "message": "no such program"}}, 2),
        ({"error": {"code": "protected_create", "message": ".git was created"}}, 1),
    ],
)
def test_try_ends_as_its_command_did(daemon: Any, found: dict[str, Any], code: int) -> None:
    answer = {key: value for key, value in TRIED.items() if key != "status"} | found
    daemon.answers["sandbox.try"] = answer
    assert dispatch(["sandbox", "try", "a", "--", "x"]) == code
    assert dispatch(["sandbox", "try", "a", "--json", "--", "x"]) == code


def test_what_the_sandbox_saw_goes_to_stderr_and_says_how_sure_it_is(
    daemon: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = [
        {"kind": "suspected_denial", "evidence": "touch: \x1b[2JRead-only file system", "certain": False},
        {"kind": "network_denied", "evidence": "evil.example:443 is not in the list", "certain": True},
    ]
    daemon.answers["sandbox.try"] = TRIED | {"status": 1, "violations": seen, "stdout_truncated": True}
    assert dispatch(["sandbox", "try", "a", "--", "x"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.split("\n")[:4] == [
        "orchestral: only the beginning of stdout was kept",
        "sandbox: perhaps suspected_denial: touch: \\x1b[2JRead-only file system",
        "sandbox: network_denied: evil.example:443 is not in the list",
        "  orchestral sandbox explain a says what is allowed, and why.",
    ]


def test_a_command_without_a_violation_is_told_nothing_more() -> None:
    assert verdict(TRIED, "a") == []


def test_what_a_command_prints_cannot_speak_to_a_terminal(daemon: Any, capsys: Any, monkeypatch: Any) -> None:
    daemon.answers["sandbox.try"] = TRIED | {"stdout": "\x1b[2J\r\n"}
    assert dispatch(["sandbox", "try", "a", "--", "x"]) == 0
    assert capsys.readouterr().out == "\x1b[2J\r\n"  # for a program it is passed on as it came
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert dispatch(["sandbox", "try", "a", "--", "x"]) == 0
    assert capsys.readouterr().out == "\\x1b[2J\n"


@pytest.mark.parametrize(
    "words",
    [
        ["try", "a"],
        ["try", "a", "--"],
        ["try", "a", "ls"],
        ["try", "a", "--timeout", "0", "--", "x"],
        ["try", "a", "--timeout", "nan", "--", "x"],
        ["explain", "a", "--", "x"],
        ["explain"],
        ["prove", "a"],
        ["explain", "a", "--workspace", "/no/such/folder"],
    ],
)
def test_wrong_usage_ends_with_2_and_asks_nothing(daemon: Any, words: list[str]) -> None:
    assert dispatch(["sandbox", *words]) == 2
    assert [name for name, _ in daemon.asked if name.startswith("sandbox.")] == []


def test_a_try_whose_connection_breaks_is_not_done_twice(daemon: Any, hang_up: type[Exception]) -> None:
    def gone(_peer: Any, _params: Any) -> None:
        raise hang_up

    daemon.answers["sandbox.try"] = gone
    assert dispatch(["sandbox", "try", "a", "--", "x"]) == 69
    assert len(daemon.params_of("sandbox.try")) == 1


def test_an_unavailable_sandbox_is_the_daemons_trouble(daemon: Any, refusal: Any) -> None:
    def refuse(_peer: Any, _params: Any) -> None:
        raise refusal("sandbox_unavailable")

    daemon.answers["sandbox.try"] = refuse
    assert dispatch(["sandbox", "try", "a", "--", "x"]) == 70


def test_status_says_what_holds_the_limits(daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    limits = {"memory": "watching", "processes": "rlimit", "cpu": "rlimit", "files": "rlimit", "problem": "no groups"}
    daemon.answers["system.info"] = {"sandbox": {"backend": "auto", "ok": True, "limits": limits}}
    assert dispatch(["status"]) == 0
    said = capsys.readouterr().out.split("\n")
    assert said[2] == (
        "          limits: memory by watching; processes by rlimit; cpu by rlimit; files by rlimit (no groups)"
    )
