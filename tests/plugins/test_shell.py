"""Does `shell` run commands in the sandbox, and let no plan approve or loosen anything?"""

import time
from pathlib import Path
from typing import Any

import pytest

import orchestrald_shell
from orchestrald.errors import ConfigError
from orchestrald.testing import Checked, actions_of, check_action

pytestmark = pytest.mark.kernel


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


async def call(
    workspace: Path | str, settings: dict[str, Any] | None = None, *, approved: bool = False, **params: Any
) -> Checked:
    action = actions_of(orchestrald_shell, settings)["shell"]
    return await check_action(action, params, workspace=str(workspace), approved=approved)


async def test_a_command_runs_in_the_workspace_and_says_everything(workspace: Path):
    (workspace / "a").write_text("x\n", encoding="utf-8")
    checked = await call(workspace, command="cat", args=["a"])
    assert checked.output == {
        "stdout": "x\n", "stderr": "", "status": 0, "timed_out": False, "stdout_truncated": False,
        "stderr_truncated": False, "sandbox_mode": "read_only", "sandboxed": True, "sandbox_backend": "bubblewrap",
        "env_policy": "minimal",
    }  # fmt: skip


async def test_it_is_sandboxed_and_read_only_by_default(workspace: Path):
    checked = await call(workspace, command="touch x; ls /root; id -u", fail_on_non_zero=False)
    assert "Read-only file system" in checked.output["stderr"]
    assert not (workspace / "x").exists()
    assert checked.violations == []  # the last command succeeded


async def test_the_operator_lets_it_write_the_workspace(workspace: Path):
    settings = {"sandbox_mode": "workspace_write"}
    assert (await call(workspace, settings, command="touch", args=["x"])).output["status"] == 0
    assert (workspace / "x").exists()
    assert (await call(workspace, settings, command="touch /etc/x")).failure.code == "exit_status"


@pytest.mark.parametrize(
    "params", [{"approved": True}, {"sandbox_mode": "none"}, {"sandbox_backend": "none"}], ids=repr
)
async def test_a_plan_can_neither_approve_nor_leave_the_sandbox(params: dict[str, Any]):
    checked = await check_action(actions_of(orchestrald_shell)["shell"], {"command": "ls", **params})
    assert checked.failure.code == "invalid_params"


async def test_a_plan_can_tighten_and_not_loosen(workspace: Path):
    assert (await call(workspace, command="ls", sandbox_mode="workspace_write")).failure.code == "denied"
    stricter = await call(workspace, {"sandbox_mode": "workspace_write"}, command="touch x", sandbox_mode="read_only")
    assert stricter.failure.code == "exit_status"


async def test_what_destroys_is_asked_about_and_runs_once_approved(workspace: Path):
    settings = {"sandbox_mode": "workspace_write"}
    (workspace / "a").touch()
    asked = await call(workspace, settings, command="rm", args=["a", "b c"])
    assert asked.question.kind == "approval"
    assert asked.question.preview["command"] == "rm a 'b c'"
    assert (workspace / "a").exists()
    assert (await call(workspace, settings, command="rm", args=["a"], approved=True)).output["status"] == 0
    assert not (workspace / "a").exists()


async def test_a_person_sees_the_arguments_of_an_expression_too(workspace: Path):
    asked = await call(workspace, command='"$@"', args=["rm", "a"], shell=True)
    assert "rm" in asked.question.preview["command"]


async def test_what_a_person_cannot_read_whole_is_refused(workspace: Path):
    failure = (await call(workspace, command="rm", args=["x" * 1000] * 20)).failure
    assert failure.code == "too_long"


async def test_arguments_are_literal_also_for_an_expression(workspace: Path):
    checked = await call(workspace, command='printf "%s|" "$@"', args=["a; rm b", "$(id)"], shell=True)
    assert checked.output["stdout"] == "a; rm b|$(id)|"


async def test_a_failing_command_is_a_failure_with_its_output_unless_asked_otherwise(workspace: Path):
    failure = (await call(workspace, command="echo out; echo why >&2; exit 3")).failure
    assert (failure.code, failure.details["status"], failure.details["stdout"]) == ("exit_status", 3, "out\n")
    assert "why" in failure.message
    assert (await call(workspace, command="exit 3", shell=True, fail_on_non_zero=False)).output["status"] == 3
    lenient = {"fail_on_non_zero": False}
    assert (await call(workspace, lenient, command="false")).output["status"] == 1


async def test_its_time_limit_kills_the_tree(workspace: Path):
    started = time.monotonic()
    failure = (await call(workspace, {"timeout_ms": 200}, command="sleep 30 & sleep 30")).failure
    assert (failure.code, failure.details["timed_out"], failure.details["status"]) == ("timeout", True, -1)
    assert time.monotonic() - started < 3


async def test_output_is_cut_at_the_limit_and_says_so(workspace: Path):
    output = (await call(workspace, {"max_output_bytes": 10}, command="seq 1 100000; echo e >&2")).output
    assert (output["stdout"], output["stdout_truncated"]) == ("1\n2\n3\n4\n5\n", True)
    assert not output["stderr_truncated"]


async def test_blocked_and_allowed_commands_hold_for_every_word(workspace: Path):
    for command in ("curl x", "/usr/bin/curl x", "true; curl x", "env curl x", "sh -c 'curl x'"):
        assert (await call(workspace, {"blocked_commands": ["CURL"]}, command=command)).failure.code == "blocked"
    only = {"allowed_commands": ["ls", "wc"]}
    assert (await call(workspace, only, command="ls | wc -l")).output["stdout"] == "0\n"
    for command in ("id", "ls; id", "ls $(id)", "ls | sh", "eval ls"):
        assert (await call(workspace, only, command=command)).failure.code == "not_allowed"


async def test_without_a_sandbox_only_the_operator_lets_sh_read_a_command(workspace: Path):
    none = {"sandbox_mode": "none"}
    for params in ({"command": "echo a; echo b"}, {"command": "ls", "shell": True}):
        assert (await call(workspace, none, **params)).failure.code == "unsafe_expression"
    output = (await call(workspace, none, command="echo", args=["a"])).output
    assert (output["stdout"], output["sandboxed"], output["sandbox_backend"]) == ("a\n", False, "none")
    allowed = none | {"allow_shell_expression": True}
    assert (await call(workspace, allowed, command="echo a; echo b")).output["stdout"] == "a\nb\n"


async def test_the_daemons_variables_are_handed_on_by_policy(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEY", "k")
    monkeypatch.setenv("LD_PRELOAD", "/no/such/library.so")
    monkeypatch.setenv("TERM", "dumb")

    async def seen(**settings: Any) -> dict[str, str]:
        output = (await call(workspace, settings, command="env")).output
        return dict(line.split("=", 1) for line in output["stdout"].splitlines())

    minimal = await seen()
    assert minimal["TERM"] == "dumb"
    assert minimal["HOME"] == "/tmp/home"
    assert minimal["ORCHESTRAL_SANDBOX_NETWORK_DISABLED"] == "1"
    assert not {"API_KEY", "LD_PRELOAD"} & minimal.keys()
    assert (await seen(env_policy="whitelist", env_allowlist=["api_key"]))["API_KEY"] == "k"
    inherited = await seen(env_policy="inherit", env_denylist=["Api_Key"])
    assert not {"API_KEY", "LD_PRELOAD"} & inherited.keys()


async def test_without_a_workspace_it_works_in_a_folder_of_its_own(workspace: Path):
    assert "exec_test" in (await call("", command="pwd")).output["stdout"]
    assert (await call("", {"working_dir": "sub"}, command="ls")).failure.code == "no_workspace"


async def test_a_program_that_is_not_there_is_told(workspace: Path):
    failure = (await call(workspace, command="no-such-program")).failure
    assert (failure.code, "no-such-program" in failure.message) == ("cannot_run", True)


@pytest.mark.parametrize(
    "settings",
    [{"sandbox_mode": "read_onyl"}, {"sandbox_mod": "none"}, {"sandbox_backend": "windows"}, {"env_policy": "all"}],
    ids=repr,
)
def test_a_wrong_setting_is_an_error_and_never_a_default(settings: dict[str, Any]):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        actions_of(orchestrald_shell, settings)


@pytest.mark.parametrize(("word", "mode"), [("ro", "read_only"), ("readonly", "read_only"), ("ws", "workspace_write")])
async def test_the_originals_spellings_are_understood(workspace: Path, word: str, mode: str):
    assert (await call(workspace, {"sandbox_mode": word}, command="true")).output["sandbox_mode"] == mode
