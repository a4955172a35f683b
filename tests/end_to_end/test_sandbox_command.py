"""Does `orchestral sandbox` say of a real daemon's actions what a command then finds?"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import Refused
from support.daemon import Daemon, daemon, write_plugin

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CONFIG = """
sandbox:
  limits: {open_files: 200}
plugins:
  grants:
    greedy: {network: proxy, destinations: ["*.example.com:443"]}
    writer: {mode: workspace_write, read_roots: [DATA]}
    wide: {fs_read: host, masked: [secrets]}
    loose: {mode: none}
  settings:
    shell: {sandbox_mode: workspace_write}
"""
PROGRAM = {"run.py": "#!/usr/bin/env python3\nprint('{\"exports\":{}}')\n"}


def manifest(**sandbox: Any) -> dict[str, Any]:
    actions = [{"name": "act", "effects": "read", "idempotent": True}]
    return {"runtime": {"command": ["./run.py"]}, "sandbox": sandbox, "actions": actions}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    made = tmp_path_factory.mktemp("sandbox-command").resolve()
    (made / "data").mkdir()
    with daemon(CONFIG.replace("DATA", str(made / "data")), started=False) as place:
        whole = {"read": ["${workspace}"], "write": ["${workspace}"]}
        parts = {"read": ["${workspace}/docs"], "write": ["${workspace}/out"]}
        for name, asked in (
            ("plain", {}),
            ("greedy", {"fs": whole, "net": {"mode": "full"}}),
            ("modest", {}),
            ("writer", {"fs": parts}),
            ("wide", {}),
            ("loose", {}),
        ):
            place.drop(write_plugin(made / name, manifest(**asked), PROGRAM))
        for name in ("docs", "out", ".git", "secrets"):
            (place.workspace / name).mkdir()
        (place.workspace / "secrets" / "key").write_text("secret", encoding="utf-8")
        place.start()
        yield place


def explained(place: Daemon, action: str) -> dict[str, Any]:
    done = place.orchestral("sandbox", "explain", action, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tried(place: Daemon, action: str, script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return place.orchestral("sandbox", "try", action, "--", "sh", "-c", script, "sh", *words)


def granted(found: dict[str, Any]) -> list[str]:
    """Each path that is told, but for the scratch folder: each run has its own."""
    return [each["path"] for each in (*found["reads"], *found["writes"]) if "/scratch/try-" not in each["path"]]


# --- explain --------------------------------------------------------------------------------------------------------


def test_an_action_that_starts_no_programs_is_trusted_and_not_sandboxed(place: Daemon):
    done = place.orchestral("sandbox", "explain", "echo")
    assert done.returncode == 0
    assert "inside the daemon" in done.stdout and "not sandboxed" in done.stdout


def test_the_programs_of_shell_run_under_its_settings(place: Daemon):
    found = explained(place, "shell")
    assert (found["runs"], found["mode"]) == ("in_process", "workspace_write")
    assert found["why"][0]["because"] == "plugins.settings.shell.sandbox_mode says so"
    assert str(place.workspace) in [each["path"] for each in found["writes"]]
    assert found["protected_found"] == [f"{place.workspace}/.git"]


def test_what_was_refused_and_whose_word_it_is_stands_on_the_first_screen(place: Daemon):
    lines = place.orchestral("sandbox", "explain", "greedy.act").stdout.split("\n")
    first = "\n".join(lines[:12])
    assert "mode workspace_write was asked for, read_only is granted" in first
    assert "network host was asked for, proxy is granted" in first
    assert "plugins.grants.greedy.network says so" in first
    assert "*.example.com:443  the operator's list" in "\n".join(lines)


def test_each_limit_says_who_set_it_and_what_holds_it(place: Daemon):
    limits = {each["name"]: each for each in explained(place, "plain.act")["limits"]}
    assert (limits["open_files"]["value"], limits["open_files"]["because"]) == (200, "sandbox.limits")
    done = tried(place, "plain.act", "ulimit -n; ulimit -f; df -B1 --output=size /tmp | tail -1")
    files, blocks, tmp = map(int, done.stdout.split())
    assert (files, blocks * 512, tmp) == (
        200, limits["file_bytes"]["value"], limits["tmp_bytes"]["value"],
    )  # fmt: skip


def test_mode_none_is_said_plainly_and_nothing_is_tried_under_it(place: Daemon, tmp_path: Path):
    done = place.orchestral("sandbox", "explain", "loose.act")
    assert "Nothing is confined" in done.stdout and "plugins.grants.loose.mode says so" in done.stdout
    done = tried(place, "loose.act", f"touch {tmp_path}/x")
    assert done.returncode == 2 and "mode is none" in done.stderr
    done = tried(place, "echo", f"touch {tmp_path}/x")
    assert done.returncode == 2 and "not sandboxed" in done.stderr
    assert not (tmp_path / "x").exists()


def test_an_unknown_action_names_the_nearest(place: Daemon):
    for words in (("explain", "plain.atc"), ("try", "plain.atc", "--", "true")):
        done = place.orchestral("sandbox", *words)
        assert done.returncode == 2 and "Did you mean plain.act" in done.stderr
    with pytest.raises(Refused) as caught:
        place.call("sandbox.explain", action="nothing-like-it")
    assert caught.value.kind == "not_found"


def test_parameters_that_mean_nothing_are_refused(place: Daemon):
    for wrong in ({"argv": []}, {"argv": ["a\0b"]}, {"argv": ["a"], "workspace": "here"}, {"argv": "id"}):
        with pytest.raises(Refused) as caught:
            place.call("sandbox.try", action="plain.act", **wrong)
        assert caught.value.kind == "invalid_params", wrong


def test_a_plugin_that_is_edited_is_explained_as_it_is_now(place: Daemon):
    (place.workspace / "out" / ".env").write_text("x", encoding="utf-8")
    assert explained(place, "writer.act")["protected_found"] == [f"{place.workspace}/out/.env"]


# --- explain and try agree ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["plain.act", "greedy.act", "writer.act", "wide.act", "shell"])
def test_every_path_that_is_told_is_there_and_can_be_written_to_only_if_that_is_told(place: Daemon, action: str):
    found = explained(place, action)
    paths = granted(found)
    writable = {each["path"] for each in found["writes"]}
    there = tried(place, action, 'for p; do test -e "$p" && echo "$p"; done; true', *paths)
    assert there.stdout.split("\n")[:-1] == paths, there.stderr
    # A name that is not there: opening what exists could succeed where making something does not.
    script = 'for p; do if test -d "$p" && (: >"$p/probe-x") 2>/dev/null; then echo "$p"; rm "$p/probe-x"; fi; done'
    done = tried(place, action, script, *paths)
    assert set(done.stdout.split("\n")[:-1]) == {path for path in paths if path in writable}, done.stderr


@pytest.mark.parametrize("action", ["plain.act", "greedy.act", "writer.act", "shell"])
def test_what_is_not_told_does_not_exist(place: Daemon, action: str):
    # The daemon's home is in /tmp, which is the sandbox's own: what is seen there is judged by what else was told.
    paths = {*granted(explained(place, action)), "/tmp/home", f"{place.paths.state_dir}/scratch"} - {"/tmp"}
    script = "for p in /* /var/* /tmp/* /run/* $1/* $1/*/* $2/* $2/.[a-z]*; do test -e $p && echo $p; done; true"
    seen = tried(place, action, script, str(place.home), str(place.workspace)).stdout.split()
    assert {"/usr", "/tmp", "/tmp/home"} <= set(seen)
    assert [each for each in seen if not any(related(each, path) for path in paths)] == []
    private = (place.paths.config_file, place.paths.store, place.paths.socket, os.path.expanduser("~/.bashrc"))
    assert tried(place, action, 'for p; do test -e "$p" && echo "$p"; done; true', *private).stdout == ""


def related(path: str, told: str) -> bool:
    """Is it what was told, within that, or a folder above it?"""
    return path == told or path.startswith(f"{told}/") or told.startswith(f"{path}/")


def test_what_is_said_to_be_hidden_is_hidden(place: Daemon):
    found = explained(place, "wide.act")
    assert {str(place.workspace / "secrets"), "/root"} <= set(found["hidden"])
    done = tried(place, "wide.act", f"ls -A /root; cat {place.workspace}/secrets/key")
    shown = {each["path"].split("/")[2] for each in found["reads"] if each["path"].startswith("/root/")}
    assert set(done.stdout.split()) <= shown  # an interpreter may live there
    assert done.returncode == 1 and "secrets/key: Permission denied" in done.stderr


def test_the_protected_names_are_those_that_cannot_be_written(place: Daemon):
    done = tried(place, "shell", "touch .git/hook || touch out/made; mkdir out/.vscode")
    assert done.returncode == 1
    assert "protected" in done.stderr or ".vscode was created" in done.stderr
    assert not (place.workspace / ".git" / "hook").exists() and not (place.workspace / "out" / ".vscode").exists()
    assert (place.workspace / "out" / "made").exists()


def test_the_command_that_is_explained_is_the_one_that_runs(place: Daemon):
    found = explained(place, "plain.act")
    program, script = found["command"]
    assert script.endswith("/run.py") and found["argv"][-1] == ["--", program, script]
    done = place.orchestral("sandbox", "try", "plain.act", "--", program, script)
    assert (done.returncode, done.stdout) == (0, '{"exports":{}}\n')
    listed = set(tried(place, "plain.act", "env | cut -d= -f1").stdout.split()) - {"PWD", "SHLVL", "_", "OLDPWD"}
    assert listed == set(found["environment"])


# --- try ------------------------------------------------------------------------------------------------------------


def test_a_command_says_who_it_is_and_ends_as_it_did(place: Daemon):
    done = place.orchestral("sandbox", "try", "plain.act", "--", "id", "-u")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{os.getuid()}\n", "")
    assert tried(place, "plain.act", "exit 7").returncode == 7
    assert place.orchestral("sandbox", "try", "plain.act", "--", "no-such-program").returncode == 2


def test_reading_what_is_not_shown_and_writing_what_is_read_only_fail(place: Daemon):
    done = tried(place, "plain.act", "cat /etc/shadow")
    assert done.returncode == 1 and "No such file or directory" in done.stderr
    done = tried(place, "plain.act", f"touch {place.workspace}/x")
    assert done.returncode == 1 and "Read-only file system" in done.stderr
    assert "sandbox: perhaps suspected_denial" in done.stderr and "sandbox explain plain.act" in done.stderr
    assert not (place.workspace / "x").exists()


def test_the_network_is_what_it_was_said_to_be(place: Daemon):
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    done = place.orchestral("sandbox", "try", "plain.act", "--", "python3", "-c", code)
    assert done.returncode == 1 and "Network is unreachable" in done.stderr
    code = "import urllib.request as u; u.urlopen('https://evil.invalid/', timeout=5)"
    done = place.orchestral("sandbox", "try", "greedy.act", "--", "python3", "-c", code)
    assert done.returncode == 1 and "network_denied" in done.stderr and "evil.invalid:443" in done.stderr


def test_time_is_bounded(place: Daemon):
    done = place.orchestral("sandbox", "try", "plain.act", "--timeout", "0.3", "--", "sleep", "60")
    assert done.returncode == 1 and "its time was up" in done.stderr


def test_a_try_is_logged_and_leaves_no_event(place: Daemon):
    before = place.call("system.info")["store"]["last_seq"]
    assert tried(place, "plain.act", "echo a-word-of-its-own").returncode == 0
    assert place.call("system.info")["store"]["last_seq"] == before
    assert [line for line in place.log if "a-word-of-its-own" in line]


def test_the_limits_in_force_are_part_of_the_status(place: Daemon):
    limits = place.call("system.info")["sandbox"]["limits"]
    assert {"memory", "processes", "cpu", "files"} <= limits.keys()
    assert f"memory by {limits['memory']}" in place.orchestral("status").stdout
