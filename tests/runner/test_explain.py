"""Is what is explained what a run of the action would find, with the word of whoever said so?"""

import os
from pathlib import Path
from typing import Any

import pytest
import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec
from orchestrald.hookspecs import Action, ActionContext, ActionError, Confinement
from orchestrald.manifest import SandboxRequest
from support.bench import Bench

pytestmark = pytest.mark.kernel


async def nothing(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    return {}


def in_process(**fields: Any) -> LoadedAction:
    return LoadedAction(ActionSpec("act", plugin="p"), Action("act", nothing, **fields))


async def explained(bench: Bench, action: LoadedAction, workspace: str | None = None) -> dict[str, Any]:
    with trio.fail_after(30):
        return await bench.runner.explain(action, str(bench.workspace) if workspace is None else workspace)


def because(found: dict[str, Any]) -> dict[str, str]:
    return {each["what"]: each["because"] for each in found["why"]}


def paths(shown: list[dict[str, str]]) -> dict[str, str]:
    return {each["path"]: each["why"] for each in shown}


async def test_a_program_under_the_defaults(bench: Bench):
    found = await explained(bench, bench.sh("true"))
    assert (found["runs"], found["sandboxed"], found["mode"], found["backend"]) == (
        "program", True, "read_only", "bubblewrap",
    )  # fmt: skip
    assert "problem" not in found and found["refused"] == []
    reads = paths(found["reads"])
    assert {"/usr", "/etc", str(bench.folder), str(bench.workspace)} <= reads.keys()
    assert found["cwd"] == str(bench.folder) and found["command"][-1] == str(bench.folder / "script.sh")
    assert "ORCHESTRAL_WORKSPACE" in found["environment"]
    assert found["argv"][0][0].endswith("bwrap") and found["argv"][-1] == ["--", *found["command"]]
    assert ["--ro-bind-fd", f"<fd: {bench.workspace}>", str(bench.workspace)] in found["argv"]
    assert because(found)["network"].startswith("the default; plugins.grants.p.network")


async def test_what_a_manifest_asks_for_too_much_of_is_refused_and_too_little_of_is_narrowed(bench: Bench):
    greedy = bench.sh("true", sandbox=SandboxRequest(write=("${workspace}",), network="full"))
    found = await explained(bench, greedy)
    assert found["refused"] == [
        "mode workspace_write was asked for, read_only is granted",
        "network host was asked for, off is granted",
    ]
    bench.granted["p"] = Confinement(mode="workspace_write", network="host", limits={"processes": 500})
    found = await explained(bench, bench.sh("true"))
    assert (found["mode"], found["network"], found["refused"]) == ("read_only", "off", [])
    assert because(found)["mode"] == "the manifest asks for no more; the default grants workspace_write"
    assert {each["name"]: each["because"] for each in found["limits"]}["processes"] == "the manifest"


async def test_a_part_of_the_workspace_is_shown_alone(bench: Bench):
    (bench.workspace / "docs").mkdir()
    found = await explained(bench, bench.sh("true", sandbox=SandboxRequest(read=("${workspace}/docs",), write=())))
    asked = "a part of the workspace that the manifest asks for"
    assert paths(found["reads"])[f"{bench.workspace}/docs"] == asked
    assert str(bench.workspace) not in paths(found["reads"])
    bench.granted["p"] = Confinement(mode="workspace_write")
    (bench.workspace / "out").mkdir()
    both = SandboxRequest(read=("${workspace}/docs",), write=("${workspace}/out",))
    found = await explained(bench, bench.sh("true", sandbox=both))
    assert paths(found["reads"])[f"{bench.workspace}/docs"] == asked
    assert paths(found["writes"])[f"{bench.workspace}/out"] == asked
    assert str(bench.workspace) not in paths(found["reads"]) | paths(found["writes"])


async def test_an_interpreter_outside_the_system_is_shown_for_a_reason(bench: Bench, tmp_path: Path):
    made = tmp_path / "opt" / "bin" / "interpret"
    made.parent.mkdir(parents=True)
    made.symlink_to("/bin/sh")
    found = await explained(bench, bench.external([bench.program("x", f"#!{made}\n")]))
    assert paths(found["reads"])[str(made)] == "the program, or the installation that it runs on"


async def test_what_the_operator_lists_is_said_to_be_listed(bench: Bench, tmp_path: Path):
    for name in ("data", "cache"):
        (tmp_path / name).mkdir()
    bench.granted["p"] = Confinement(
        mode="workspace_write", read_roots=(f"{tmp_path}/data",), writable_roots=(f"{tmp_path}/cache",)
    )
    found = await explained(bench, bench.sh("true", sandbox=SandboxRequest(write=("${workspace}",))))
    assert paths(found["reads"])[f"{tmp_path}/data"] == "listed in plugins.grants.p.read_roots"
    assert paths(found["writes"])[f"{tmp_path}/cache"] == "listed in plugins.grants.p.writable_roots"
    (bench.workspace / ".git").mkdir()
    found = await explained(bench, bench.sh("true", sandbox=SandboxRequest(write=("${workspace}",))))
    assert found["protected_found"] == [f"{bench.workspace}/.git"] and ".git" in found["protected"]


async def test_a_program_that_is_missing_is_told_and_the_policy_explained_all_the_same(bench: Bench):
    found = await explained(bench, bench.external(["./gone"]))
    assert "does not exist" in found["problem"]["message"]
    assert found["mode"] == "read_only" and "argv" not in found and "/usr" in paths(found["reads"])


async def test_a_workspace_that_cannot_be_shown_is_told(bench: Bench):
    for workspace in (os.path.expanduser("~"), "/etc", "/nowhere/at/all"):
        found = await explained(bench, bench.sh("true"), workspace)
        assert found["problem"]["message"], workspace
        assert "argv" not in found
    found = await explained(bench, bench.sh("true"), str(bench.workspace.parent))  # the daemon's state is in there
    assert f"would show {bench.workspace.parent}/state" in found["problem"]["message"]


async def test_a_sandbox_that_is_not_there_is_told_with_what_to_do(bench: Bench):
    bench.granted["p"] = Confinement(bwrap_path="/nowhere/bwrap")
    found = await explained(bench, bench.sh("true"))
    assert "/nowhere/bwrap" in found["problem"]["message"] and found["problem"]["hint"]
    assert found["mode"] == "read_only"


async def test_mode_none_is_said_plainly(bench: Bench):
    bench.granted["p"] = Confinement(mode="none", backend="none")
    found = await explained(bench, bench.sh("true"))
    assert found["says"].startswith("Nothing is confined") and not found["sandboxed"]
    assert list(because(found)) == ["mode"]


async def test_an_action_that_starts_nothing_is_trusted_and_not_sandboxed(bench: Bench):
    found = await explained(bench, in_process())
    assert (found["runs"], found["sandboxed"]) == ("in_process", False)
    assert "inside the daemon" in found["says"] and "reads" not in found


async def test_an_action_that_starts_programs_is_asked_for_their_confinement(bench: Bench):
    def confinement(operator: Confinement, workspace: str) -> Confinement:
        return Confinement(mode="workspace_write", network=operator.network)

    found = await explained(bench, in_process(confinement=confinement))
    assert (found["runs"], found["sandboxed"], found["mode"]) == ("in_process", True, "workspace_write")
    assert because(found)["mode"] == "plugins.settings.p says so"
    assert found["argv"][-1] == ["--", *found["command"]] == ["--", "<what a step says>"]


@pytest.mark.parametrize("error", [ActionError("it has no folder"), ZeroDivisionError("a bug")])
async def test_a_plugin_that_cannot_say_is_a_problem_and_not_the_daemons(bench: Bench, error: Exception):
    def confinement(operator: Confinement, workspace: str) -> Confinement:
        raise error

    found = await explained(bench, in_process(confinement=confinement))
    assert str(error) in found["problem"]["message"] and not found["sandboxed"]


async def test_a_name_that_is_no_text_does_not_stop_the_answer(bench: Bench):
    bench.granted["p"] = Confinement(mode="workspace_write")
    os.mkdir(os.fsencode(bench.workspace) + b"/\xff")
    os.mkdir(os.fsencode(bench.workspace) + b"/\xff/.git")
    found = await explained(bench, bench.sh("true", sandbox=SandboxRequest(write=("${workspace}",))))
    assert [path.isprintable() for path in found["protected_found"]] == [True]
    str(found).encode("utf-8")


async def test_explaining_leaves_nothing_behind(bench: Bench, tmp_path: Path):
    before = sorted(os.listdir("/proc/self/fd"))
    await explained(bench, bench.sh("true"))
    await explained(bench, bench.external(["./gone"]))
    assert os.listdir(tmp_path / "state" / "scratch") == []
    assert len(os.listdir("/proc/self/fd")) <= len(before) + 2  # the runner's own, asked for once
