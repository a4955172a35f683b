"""The self-test, and that it fails when any single mechanism is taken away."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrald_sandbox import FsRead, Host, Mode, Network, Policy, diagnose, probe

MODULE = sys.modules["orchestrald_sandbox.probe"]
BUBBLEWRAP = sys.modules["orchestrald_sandbox.bubblewrap"]
PREPARE = sys.modules["orchestrald_sandbox.prepare"]


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
        ("bwrap: No permissions to create new namespace, likely because ...", "namespaces are not available"),
        (
            "bwrap: No permissions to creating new namespace, likely because ...",
            "namespaces are not available",
        ),
        ("bwrap: Creating new namespace failed: nesting depth ... (ENOSPC)", "namespaces are not available"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "/proc cannot be mounted"),
        ("bwrap: Unknown option --disable-userns", "too old"),
        ("bwrap: Can't find source path /x: No such file or directory", "does not exist"),
        ("bwrap: Can't find source path /proc/self/fd/5: Permission denied", "run_as cannot reach"),
    ],
)
def test_what_bwrap_says_becomes_a_reason_and_a_hint(stderr: str, reason: str) -> None:
    got, hint = diagnose(f"warning\n{stderr}\n")
    assert reason in got and stderr in got and hint


def test_unknown_and_missing_words_are_a_reason_too() -> None:
    assert diagnose("bwrap: odd\n") == ("the sandbox did not start: bwrap: odd", "")
    assert "gave no reason" in diagnose("")[0]


@pytest.mark.parametrize("printed", [b"", b"{}", b"[]", b"nonsense", b'{"filtered": true}'])
def test_an_answer_that_is_missing_counts_as_an_escape(printed: bytes) -> None:
    checks, missed = MODULE.judge(printed)
    assert missed and set(checks) == set(MODULE.EXPECTED)


def test_only_a_plain_true_is_accepted() -> None:
    whole = dict.fromkeys(MODULE.EXPECTED, True)
    assert MODULE.judge(json.dumps(whole).encode())[1] == ()
    for value in (False, None, 1, "true"):
        assert MODULE.judge(json.dumps(whole | {"filtered": value}).encode())[1] == ("filtered",)


def test_mode_none_is_not_a_sandbox(example: Host, tmp_path: Path) -> None:
    assert not probe(example, tmp_path, Policy(mode=Mode.NONE)).ok


@pytest.mark.kernel
@pytest.mark.parametrize(
    "policy",
    [Policy(), Policy(mode=Mode.WORKSPACE_WRITE), Policy(network=Network.HOST), Policy(unix_sockets=True),
     Policy(fs_read=FsRead.HOST, masked=("/root",)), Policy(run_as=(65534, 65534))],
    ids=["read_only", "workspace_write", "host network", "unix sockets", "whole disk", "another user"],
)  # fmt: skip
def test_the_sandbox_holds_on_this_machine(host: Host, state: Path, policy: Policy) -> None:
    if policy.run_as is not None and os.getuid() != 0:
        pytest.skip("only a daemon of uid 0 can take on another user")
    got = probe(host, state, policy)
    assert got.ok, got
    assert all(got.checks.values()) and list(state.glob("probe-*")) == []


REMOVED = {
    "--unshare-pid": (1, "namespaces_own"),
    "--unshare-net": (1, "network_as_granted"),
    "--unshare-ipc": (1, "namespaces_own"),
    "--unshare-uts": (1, "namespaces_own"),
    "--seccomp": (2, "filtered"),
    "--cap-drop": (2, "no_capabilities"),
}


@pytest.mark.kernel
@pytest.mark.parametrize("option", REMOVED)
def test_the_probe_fails_when_a_mechanism_is_missing(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    count, check = REMOVED[option]
    if option == "--cap-drop" and os.getuid() != 0:
        pytest.skip("only uid 0 has capabilities to keep")
    whole = BUBBLEWRAP.arguments

    def without(*given: object) -> list[str]:
        words = whole(*given)
        at = words.index(option)
        return words[:at] + words[at + count :]

    monkeypatch.setattr(BUBBLEWRAP, "arguments", without)
    got = probe(host, state)
    assert not got.ok, got
    assert got.reason and got.checks.get(check, False) is False  # without some, bwrap does not even start


@pytest.mark.kernel
def test_the_probe_fails_when_the_workspace_is_mounted_the_wrong_way(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = BUBBLEWRAP.arguments
    monkeypatch.setattr(
        BUBBLEWRAP,
        "arguments",
        lambda *given: [w.replace("--ro-bind-fd", "--bind-fd") for w in whole(*given)],
    )
    got = probe(host, state)
    assert not got.ok and not got.checks["workspace_as_granted"] and not got.checks["plugin_folder_read_only"]


@pytest.mark.kernel
def test_the_probe_fails_when_a_descriptor_is_left_open(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = PREPARE.prepare
    null = os.open("/dev/null", os.O_RDONLY)

    def leaking(*given: object) -> object:
        prepared = whole(*given)
        prepared.pass_fds = (*prepared.pass_fds, os.dup(null))
        return prepared

    monkeypatch.setattr(MODULE, "prepare", leaking)
    got = probe(host, state)
    os.close(null)
    assert not got.ok and not got.checks["no_descriptors"]


@pytest.mark.kernel
def test_a_bwrap_that_does_not_run_gives_a_reason(host: Host, state: Path) -> None:
    got = probe(replace(host, bwrap="/usr/bin/false"), state)
    assert not got.ok and got.reason and not got.checks
    assert not probe(replace(host, bwrap="/no/bwrap"), state).ok
    assert not probe(host, state / "no").ok


@pytest.mark.kernel
def test_a_sandbox_that_does_not_answer_is_given_up(host: Host, state: Path) -> None:
    got = probe(host, state, seconds=0.0)
    assert not got.ok and "no answer" in got.reason
