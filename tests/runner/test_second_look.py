"""What a review of the boundary found: no manifest, plan or program undoes what an operator has said."""

import os
from pathlib import Path
from typing import Any

import pytest
import trio

import orchestrald_sandbox as sandbox
from orchestrald.actions import LoadedAction
from orchestrald.core.model import StepSandbox
from orchestrald.hookspecs import Confinement
from orchestrald.manifest import SandboxRequest
from orchestrald.runner.base import Failed, Outcome, Succeeded
from support.bench import Bench, Notes

pytestmark = pytest.mark.kernel
WRITES = SandboxRequest(write=("${workspace}",))
SAYS = """echo '{"exports":{}}'"""


async def run(bench: Bench, action: LoadedAction, notes: Notes | None = None, **fields: Any) -> Outcome:
    with trio.fail_after(20):
        return await bench.runner.run(action, bench.attempt(**fields), notes or Notes())


async def refusal(bench: Bench, action: LoadedAction, notes: Notes | None = None, **fields: Any) -> tuple[str, str]:
    outcome = await run(bench, action, notes, **fields)
    assert isinstance(outcome, Failed), outcome
    return outcome.failure.code, outcome.failure.message


async def test_no_limit_of_a_plan_reaches_the_daemon_itself(bench: Bench):
    """The spawning thread stands in the run's group: with the limit on it already, the kernel would kill us here."""
    least = 4 << 20
    await run(bench, bench.sh(SAYS), sandbox=StepSandbox(memory=least))
    assert isinstance(await run(bench, bench.sh(SAYS)), Succeeded)
    with pytest.raises(ValueError, match="greater than or equal"):
        StepSandbox(memory=least - 1)
    with pytest.raises(sandbox.PolicyError, match="less than a sandbox needs"):
        sandbox.Limits(memory_bytes=least - 1)


@pytest.mark.parametrize("part", [".git", ".git/hooks", "sub/.git", ".ENV.local"])
async def test_a_manifest_cannot_ask_for_what_is_protected(bench: Bench, part: str):
    (bench.workspace / part).mkdir(parents=True)
    bench.granted["p"] = Confinement(mode="workspace_write")
    action = bench.sh(
        f'echo evil > "$ORCHESTRAL_WORKSPACE/{part}/x"', sandbox=SandboxRequest(write=(f"${{workspace}}/{part}",))
    )
    code, said = await refusal(bench, action)
    assert (code, "is protected" in said) == ("cannot_run", True)
    assert os.listdir(bench.workspace / part) in ([], ["hooks"])


@pytest.mark.parametrize("part", ["secrets", "secrets/in"])
async def test_a_manifest_cannot_ask_for_what_is_masked(bench: Bench, part: str):
    (bench.workspace / "secrets" / "in").mkdir(parents=True)
    bench.granted["p"] = Confinement(masked=("secrets",))
    action = bench.sh("ls", sandbox=SandboxRequest(read=(f"${{workspace}}/{part}",)))
    code, said = await refusal(bench, action)
    assert (code, "masked hides" in said) == ("cannot_run", True)


async def test_what_is_masked_cannot_be_moved_out_from_under_its_mask(bench: Bench):
    (bench.workspace / "conf" / "deep").mkdir(parents=True)
    (bench.workspace / "conf" / "deep" / "key").write_text("SECRET")
    bench.granted["p"] = Confinement(mode="workspace_write", masked=("conf/deep/key",))
    move = 'cd "$ORCHESTRAL_WORKSPACE"; mv conf conf2; mv conf/deep conf/deep2; touch conf/new conf/deep/new; '
    for _ in range(2):
        await run(bench, bench.sh(move + SAYS, sandbox=WRITES))
    assert sorted(os.listdir(bench.workspace / "conf")) == ["deep", "new"]
    assert sorted(os.listdir(bench.workspace / "conf" / "deep")) == ["key", "new"]


@pytest.mark.parametrize("said", ["prlimit: failed to execute x: Text file busy", "bwrap: execvp x: Text file busy"])
async def test_no_words_of_a_program_have_it_run_again_or_hide_what_it_planted(bench: Bench, notes: Notes, said: str):
    bench.granted["p"] = Confinement(mode="workspace_write")
    action = bench.sh(
        f'cd "$ORCHESTRAL_WORKSPACE"; echo x >> runs; echo evil > .bashrc; echo "{said}" >&2; exit 126', sandbox=WRITES
    )
    assert (await refusal(bench, action, notes))[0] == "protected_create"
    assert (bench.workspace / "runs").read_text() == "x\n"
    assert notes.violations[0].kind == "protected_create"


async def test_memory_under_no_name_counts_where_there_is_no_control_group(bench: Bench, notes: Notes):
    bench.runner.confiner._cgroups = sandbox.cgroups.Cgroups()
    text = """#!/usr/bin/python3
import os, time
held = os.memfd_create("m")
for _ in range(200): os.write(held, bytes(1 << 20))
time.sleep(10)
"""
    action = bench.external([bench.program("hold.py", text)], limits={"memory": 64 << 20})
    assert (await refusal(bench, action, notes))[0] == "killed:SIGKILL"
    assert notes.violations[0].kind == "oom"


async def test_files_under_no_name_count_for_what_a_run_may_write(bench: Bench, notes: Notes):
    bench.granted["p"] = Confinement(limits={"workspace_bytes": 16 << 20})
    text = """#!/usr/bin/python3
import os, time
path = os.environ["ORCHESTRAL_SCRATCH"] + "/f"
f = os.open(path, os.O_CREAT | os.O_WRONLY)
os.unlink(path)
for _ in range(96): os.write(f, os.urandom(1 << 20))
os.fsync(f)
time.sleep(10)
"""
    assert (await refusal(bench, bench.external([bench.program("hold.py", text)]), notes))[0] == "disk_growth"


async def test_a_workspace_within_the_daemons_own_folders_is_refused(bench: Bench, tmp_path: Path):
    inside = tmp_path / "state" / "references"
    inside.mkdir()
    code, said = await refusal(bench, bench.sh(SAYS), workspace=str(inside))
    assert (code, "belongs to the daemon" in said) == ("cannot_run", True)


async def test_a_plan_that_wants_its_sandbox_back_gets_the_manifests_too(bench: Bench):
    bench.granted["p"] = Confinement(mode="none", backend="none", network="host")
    action = bench.sh("""echo x > "$ORCHESTRAL_WORKSPACE/new" && echo '{"exports":{}}' || exit 65""")
    code, _ = await refusal(bench, action, sandbox=StepSandbox(mode="workspace_write"))
    assert code == "bad_input"
    assert os.listdir(bench.workspace) == []


@pytest.mark.parametrize("name", ["LOCPATH", "GCONV_PATH", "LD_PRELOAD", "HOSTALIASES"])
async def test_no_variable_of_a_manifest_acts_outside(bench: Bench, name: str):
    code, said = await refusal(bench, bench.sh(SAYS, env={name: "/tmp/x"}))
    assert (code, name in said) == ("cannot_run", True)


@pytest.mark.parametrize("line", ['#!/usr/bin/env -S "foo', "#!\r", "#!"])
async def test_a_first_line_that_nobody_understands_is_told(bench: Bench, line: str):
    outcome = await refusal(bench, bench.external([bench.program("odd", f"{line}\nx\n")]))
    assert outcome[0] == "cannot_run"


async def test_a_pipe_in_a_plugins_folder_stops_nobody(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(bench.folder / ".python-version")
    shims = tmp_path / "env" / "shims"
    shims.mkdir(parents=True)
    (tmp_path / "env" / "versions").mkdir()
    shim = shims / "python3"
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    with pytest.raises(sandbox.CommandError, match="no version is set"):
        sandbox.resolve(["python3"], folder=str(bench.folder), path=str(shims))
