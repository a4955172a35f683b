"""Is a command that is tried held as the action's own program is, and by nothing less?"""

import os
from pathlib import Path
from typing import Any

import pytest
import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec
from orchestrald.errors import SandboxUnavailable, WrongState
from orchestrald.hookspecs import Action, ActionContext, Confinement
from orchestrald.manifest import SandboxRequest
from support.bench import Bench

pytestmark = pytest.mark.kernel


async def tried(bench: Bench, action: LoadedAction, *argv: str, seconds: float = 20.0) -> dict[str, Any]:
    with trio.fail_after(30):
        return await bench.runner.try_command(action, argv, str(bench.workspace), seconds)


async def test_it_finds_the_folders_and_variables_of_an_attempt_and_no_request(bench: Bench):
    script = (
        'cat; pwd; echo "$ORCHESTRAL $ORCHESTRAL_ACTION $ORCHESTRAL_WORKSPACE"; echo x >"$ORCHESTRAL_RESULT"; id -u'
    )
    found = await tried(bench, bench.sh("true", env={"MINE": "1"}), "sh", "-c", f"{script}; echo $MINE")
    assert found["stdout"].splitlines() == [
        str(bench.folder), f"1 act {bench.workspace}", str(os.getuid()), "1",
    ]  # fmt: skip
    assert (found["status"], found["backend"], found["violations"], found["timed_out"]) == (0, "bubblewrap", [], False)


async def test_it_is_held_by_the_policy(bench: Bench):
    script = f"cat /etc/shadow; ls {bench.workspace.parent}/state/etc-staged; touch {bench.workspace}/x"
    found = await tried(bench, bench.sh("true"), "sh", "-c", script)
    assert "/etc/shadow: No such file" in found["stderr"] and "Read-only file system" in found["stderr"]
    assert found["stdout"] == "" and found["status"] != 0
    assert [each["kind"] for each in found["violations"]] == ["suspected_denial"]
    assert not (bench.workspace / "x").exists()


async def test_what_the_actions_own_program_needs_is_shown_to_it_too(bench: Bench, tmp_path: Path):
    interpreter = tmp_path / "opt" / "bin" / "interpret"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to("/bin/sh")
    action = bench.external([bench.program("x", f"#!{interpreter}\n")])
    found = await tried(bench, action, "sh", "-c", f"{interpreter} -c 'echo here'; command -v interpret")
    assert found["stdout"].splitlines() == ["here", str(interpreter)]


async def test_a_name_that_it_must_not_make_is_taken_away_and_told(bench: Bench):
    bench.granted["p"] = Confinement(mode="workspace_write")
    action = bench.sh("true", sandbox=SandboxRequest(write=("${workspace}",)))
    found = await tried(bench, action, "mkdir", f"{bench.workspace}/.git")
    assert found["error"]["code"] == "protected_create" and "status" not in found
    assert [each["kind"] for each in found["violations"]] == ["protected_create"]
    assert not (bench.workspace / ".git").exists()


async def test_output_and_time_are_bounded(bench: Bench):
    found = await tried(bench, bench.sh("true"), "sh", "-c", "yes | head -c 200000; yes | head -c 200000 >&2")
    assert [len(found[name]) for name in ("stdout", "stderr")] == [65536, 65536]
    assert found["stdout_truncated"] and found["stderr_truncated"] and found["status"] == 0
    with trio.fail_after(10):
        found = await tried(bench, bench.sh("true"), "sleep", "60", seconds=0.2)
    assert found["timed_out"] and "status" not in found


async def test_a_signal_and_output_that_is_no_text_are_told(bench: Bench):
    found = await tried(bench, bench.sh("true"), "sh", "-c", r"printf '\377'; kill -9 $$")
    assert (found["status"], found["stdout"]) == (137, "\ufffd")


async def test_a_command_that_cannot_be_run_is_an_answer(bench: Bench):
    for argv in (["no-such-program"], ["./no-such-file"], [""]):
        found = await tried(bench, bench.sh("true"), *argv)
        assert found["error"]["code"] == "cannot_run" and "stdout" not in found


async def test_a_workspace_that_would_show_the_daemon_is_refused(bench: Bench):
    with trio.fail_after(10):
        found = await bench.runner.try_command(bench.sh("true"), ["ls"], str(bench.workspace.parent), 5)
    assert found["error"]["code"] == "cannot_run" and "would show" in found["error"]["message"]


async def test_nothing_is_tried_where_nothing_confines_it(bench: Bench, tmp_path: Path):
    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        return {}

    mark = tmp_path / "mark"
    trusted = LoadedAction(ActionSpec("act", plugin="p"), Action("act", act))
    with pytest.raises(WrongState, match="inside the daemon"):
        await tried(bench, trusted, "touch", str(mark))
    loose = LoadedAction(
        ActionSpec("act", plugin="p"),
        Action("act", act, confinement=lambda *_: Confinement(mode="none", backend="none")),
    )
    with pytest.raises(WrongState, match="mode is none"):
        await tried(bench, loose, "touch", str(mark))
    bench.granted["p"] = Confinement(mode="none", backend="none")
    with pytest.raises(WrongState, match="mode is none"):
        await tried(bench, bench.sh("true"), "touch", str(mark))
    bench.granted["p"] = Confinement(bwrap_path="/nowhere/bwrap")
    with pytest.raises(SandboxUnavailable):
        await tried(bench, bench.sh("true"), "touch", str(mark))
    assert not mark.exists()


async def test_its_scratch_folder_is_removed_also_when_it_is_cancelled(bench: Bench, tmp_path: Path, marked: Any):
    seconds, sleeping = marked
    with trio.move_on_after(0.5):
        await bench.runner.try_command(bench.sh("true"), ["sleep", seconds], str(bench.workspace), 60)
    assert os.listdir(tmp_path / "state" / "scratch") == [] and sleeping() == []
    await tried(bench, bench.sh("true"), "true")
    assert os.listdir(tmp_path / "state" / "scratch") == []


async def test_it_is_logged_with_nothing_that_speaks_to_a_terminal(bench: Bench, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        await tried(bench, bench.sh("true"), "echo", "\x1b[2J")
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "echo" in said and "status 0" in said and "\x1b" not in said
