"""Does every end of a plugin's program become the right outcome?"""

import ctypes
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.questions import digest
from orchestrald.hookspecs import Confinement
from orchestrald.manifest import SandboxRequest, Secret
from orchestrald.runner import process
from orchestrald.runner.base import Asked, Failed, Outcome, Succeeded
from support.bench import Bench, Notes, children

Marked = tuple[str, Callable[[], list[int]]]
pytestmark = pytest.mark.kernel

ECHO = """import json, sys
request = json.load(sys.stdin)
print(json.dumps({"exports": {"request": request}}))
"""
TEXT = {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}, "additionalProperties": False}


async def run(bench: Bench, action: LoadedAction, notes: Notes | None = None, **fields: Any) -> Outcome:
    with trio.fail_after(20):
        return await bench.runner.run(action, bench.attempt(**fields), notes or Notes())


async def failure(bench: Bench, action: LoadedAction, notes: Notes | None = None, **fields: Any) -> Any:
    outcome = await run(bench, action, notes, **fields)
    assert isinstance(outcome, Failed), outcome
    return outcome.failure


async def test_a_script_answers_on_stdout_and_logs_on_stderr(bench: Bench, notes: Notes):
    action = bench.sh("""echo '<4>careful' >&2; echo '{"exports":{"n":1}}'""")
    assert await run(bench, action, notes) == Succeeded({"n": 1})
    assert notes.logs == [("warning", "careful")]
    assert notes.violations == []


async def test_the_request_says_everything_about_the_attempt(bench: Bench):
    action = bench.external([bench.program("echo.py", f"#!/usr/bin/env python3\n{ECHO}")], entrypoint="main")
    outcome = await run(bench, action, params={"a": [1, "ü"]}, timeout=5.0, answers={"year": 1}, state="s")
    request = outcome.output["request"]
    assert request["protocol"] == "orchestral.external_action.v1"
    assert request["action"] == {"name": "act", "entrypoint": "main", "plugin": "p", "version": "1"}
    assert request["input"] == {"params": {"a": [1, "ü"]}}
    context = request["context"]
    assert (context["task_id"], context["step_id"], context["execution_id"]) == ("int_1", "s1", "exec_1")
    assert (context["answers"], context["state"], context["workspace"]) == ({"year": 1}, "s", str(bench.workspace))
    assert context["deadline_ms"] is not None


async def test_the_result_file_counts_before_stdout_and_the_scratch_folder_is_gone_afterwards(bench: Bench):
    action = bench.sh("""echo noise; mkdir -p $ORCHESTRAL_SCRATCH/a/b; chmod 0 $ORCHESTRAL_SCRATCH/a/b
        echo '{"exports":{"from":"file"}}' > $ORCHESTRAL_RESULT""")
    assert await run(bench, action) == Succeeded({"from": "file"})
    assert os.listdir(bench.runner._scratch) == []


async def test_a_result_file_that_is_a_link_or_a_pipe_is_refused(bench: Bench, tmp_path: Path):
    (tmp_path / "secret").write_text('{"exports":{"stolen":1}}', encoding="utf-8")
    second = """cd $ORCHESTRAL_SCRATCH; echo '{"exports":{}}' >a; ln a $ORCHESTRAL_RESULT"""
    for trick in (f"ln -s {tmp_path}/secret $ORCHESTRAL_RESULT", "mkfifo $ORCHESTRAL_RESULT", second):
        assert (await failure(bench, bench.sh(trick))).code == "invalid_response"


async def test_an_artifact_is_stored_and_its_digest_takes_its_place(bench: Bench):
    action = bench.sh("""printf abc > $ORCHESTRAL_SCRATCH/page.txt
        echo '{"exports":{"page":{"$artifact":"page.txt","media_type":"text/plain"}}}'""")
    stored = {"$artifact": "sha256:1", "media_type": "text/plain", "size": 3, "name": "page.txt"}
    assert await run(bench, action) == Succeeded({"page": stored})
    assert bench.stored == [b"abc"]


@pytest.mark.parametrize("path", ["../../secret", "/etc/passwd", "link", "folder/link/x", "pipe", "missing", "folder"])
async def test_an_artifact_stays_inside_of_the_scratch_folder(bench: Bench, tmp_path: Path, path: str):
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    action = bench.sh(f"""cd $ORCHESTRAL_SCRATCH; mkdir folder; mkfifo pipe
        ln -s {tmp_path}/secret link; ln -s {tmp_path} folder/link
        echo '{{"exports":{{"a":{{"$artifact":"{path}"}}}}}}'""")
    assert (await failure(bench, action)).code == "invalid_response"
    assert bench.stored == []


@pytest.mark.parametrize(
    ("script", "code", "retryable"),
    [
        ("exit 3", "exit_status", False),
        ("echo '{\"exports\":{}}'; exit 1", "exit_status", False),
        ("exit 75", "retryable_error", True),
        ("exit 77", "denied", False),
        ("echo nonsense", "invalid_response", False),
        ("true", "invalid_response", False),
        ("kill -SEGV $$", "killed:SIGSEGV", False),
        ("""echo '{"type":"error","message":"no","code":"mine"}'; exit 4""", "mine", False),
        ("""echo '{"type":"retryable_error","message":"429","retry_after":20}'""", "retryable_error", True),
    ],
)
async def test_exit_statuses_and_answers_become_failures(bench: Bench, script: str, code: str, retryable: bool):
    found = await failure(bench, bench.sh(script))
    assert (found.code, found.retryable) == (code, retryable)


async def test_a_question_ends_the_attempt_and_an_approval_is_bound_to_these_parameters(bench: Bench):
    asked = await run(bench, bench.sh("""echo '{"type":"need_clarification","question":"Which?"}'"""))
    assert isinstance(asked, Asked)
    assert (asked.question.kind, asked.question.prompt) == ("clarification", "Which?")
    action = bench.sh("""echo '{"type":"need_approval","request":{"reason":"rm","command":"rm a"}}'""")
    asked = await run(bench, action, params={"a": 1})
    assert isinstance(asked, Asked)
    assert asked.question.digest == digest("p.act", {"a": 1})


async def test_an_approval_for_other_parameters_never_reaches_the_plugin(bench: Bench):
    action = bench.external([bench.program("echo.py", f"#!/usr/bin/env python3\n{ECHO}")])
    said = {"decision": "approved", "by": "uid:0", "bound": digest("p.act", {"a": 1})}
    for params, arrives in (({"a": 1}, said), ({"a": 2}, None)):
        outcome = await run(bench, action, params=params, approval=said)
        assert outcome.output["request"]["context"]["approval"] == arrives


async def test_parameters_are_checked_before_and_defaults_applied(bench: Bench):
    action = bench.external([bench.program("e.py", f"#!/usr/bin/env python3\n{ECHO}")], spec={"input_schema": TEXT})
    outcome = await run(bench, action)
    assert outcome.output["request"]["input"]["params"] == {"n": 7}
    found = await failure(bench, action, params={"n": "x", "m": 1})
    assert found.code == "invalid_params"
    assert "n" in found.message
    assert "m" in found.message


async def test_an_output_that_its_own_schema_forbids_is_a_failure(bench: Bench):
    schema = {"type": "object", "required": ["total"]}
    action = bench.sh("""echo '{"exports":{"n":1}}'""", spec={"output_schema": schema})
    found = await failure(bench, action)
    assert (found.code, "total" in found.message) == ("invalid_output", True)


@pytest.mark.parametrize(("idempotent", "retryable"), [(True, True), (False, False)])
async def test_a_timeout_may_be_retried_only_if_the_action_is_idempotent(
    bench: Bench, notes: Notes, idempotent: bool, retryable: bool
):
    action = bench.sh("sleep 30", spec={"idempotent": idempotent})
    found = await failure(bench, action, notes, timeout=0.2)
    assert (found.code, found.retryable) == ("timeout", retryable)
    assert notes.violations[0][0] == "timeout"


async def test_the_manifests_timeout_holds_when_it_is_the_smaller(bench: Bench):
    assert (await failure(bench, bench.sh("sleep 30", limits={"timeout": 0.2}), timeout=20.0)).code == "timeout"


async def test_inside_the_sandbox_a_program_is_asked_before_it_is_killed(bench: Bench, notes: Notes):
    action = bench.sh("trap 'echo bye >&2; exit 1' TERM; sleep 30 & wait", stop_timeout=5.0)
    started = trio.current_time()
    await failure(bench, action, notes, timeout=0.3)
    assert ("info", "bye") in notes.logs
    assert trio.current_time() - started < 4


async def test_too_much_output_is_told_with_the_way_out(bench: Bench, notes: Notes):
    found = await failure(bench, bench.sh("yes", limits={"stdout": 100_000}), notes)
    assert (found.code, "$artifact" in found.message) == ("output_too_large", True)
    assert notes.violations[0][0] == "output_limit"


async def test_a_program_that_escapes_its_session_dies_with_the_sandbox(bench: Bench, marked: Marked):
    seconds, sleeping = marked
    started = trio.current_time()
    outcome = await run(bench, bench.sh(f"""setsid sleep {seconds} & echo '{{"exports":{{}}}}'"""))
    assert outcome == Succeeded({})
    assert trio.current_time() - started < 2
    with trio.fail_after(2):
        while sleeping():
            await trio.sleep(0.005)  # the kernel tells nobody when a killed process has left /proc


async def test_cancellation_leaves_nothing_inside_the_sandbox(bench: Bench, marked: Marked):
    seconds, sleeping = marked
    with trio.move_on_after(0.3) as scope:
        await run(bench, bench.sh(f"trap '' TERM; setsid sleep {seconds} & sleep {seconds}"))
    assert scope.cancelled_caught
    with trio.fail_after(2):
        while sleeping():
            await trio.sleep(0.005)  # the kernel tells nobody when a killed process has left /proc
    assert os.listdir(bench.runner._scratch) == []


async def test_the_workspace_is_read_only_until_the_operator_grants_more(bench: Bench, notes: Notes):
    asks = SandboxRequest(write=("${workspace}",))
    action = bench.sh("""echo x > "$ORCHESTRAL_WORKSPACE/new" && echo '{"exports":{}}'""", sandbox=asks)
    assert (await failure(bench, action, notes)).code == "exit_status"
    assert any("workspace_write was asked for" in message for _, message in notes.logs)
    assert notes.violations[0][0] == "suspected_denial"
    bench.granted["p"] = Confinement(mode="workspace_write")
    assert await run(bench, action) == Succeeded({})
    assert (bench.workspace / "new").exists()


async def test_a_grant_is_narrowed_by_what_the_manifest_asks_for(bench: Bench):
    bench.granted["p"] = Confinement(mode="workspace_write", network="host")
    action = bench.sh("""echo x > "$ORCHESTRAL_WORKSPACE/new" || echo '{"exports":{"ro":true}}'""")
    assert await run(bench, action) == Succeeded({"ro": True})


async def test_a_protected_name_that_a_run_creates_is_taken_away_and_fails_the_step(bench: Bench, notes: Notes):
    bench.granted["p"] = Confinement(mode="workspace_write")
    asks = SandboxRequest(write=("${workspace}",))
    action = bench.sh("""cd "$ORCHESTRAL_WORKSPACE"; mkdir -p .git/hooks; echo '{"exports":{}}'""", sandbox=asks)
    assert (await failure(bench, action, notes)).code == "protected_create"
    assert not (bench.workspace / ".git").exists()
    assert notes.violations[0][0] == "protected_create"


async def test_what_a_cancelled_run_has_planted_is_taken_away_too(bench: Bench):
    bench.granted["p"] = Confinement(mode="workspace_write")
    asks = SandboxRequest(write=("${workspace}",))
    action = bench.sh("""cd "$ORCHESTRAL_WORKSPACE"; mkdir .git; touch planted; sleep 30""", sandbox=asks)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, bench, action)
        with trio.fail_after(5):
            while not (bench.workspace / "planted").exists():
                await trio.sleep(0.01)  # the file is the only sign that the program has come so far
        nursery.cancel_scope.cancel()
    assert not (bench.workspace / ".git").exists()


async def test_a_loader_variable_in_a_manifest_is_refused(bench: Bench):
    found = await failure(bench, bench.sh("true", env={"LD_PRELOAD": "./evil.so"}))
    assert (found.code, "LD_PRELOAD" in found.message) == ("cannot_run", True)


async def test_only_what_is_asked_for_and_granted_is_handed_on_of_the_daemons_variables(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRANTED", "1")
    monkeypatch.setenv("NOT_GRANTED", "1")
    bench.granted["p"] = Confinement(env_pass=("GRANTED", "NOT_ASKED"))
    action = bench.sh(
        'printf \'{"exports":{"seen":"%s%s%s"}}\' "$GRANTED" "$NOT_GRANTED" "$LITERAL"',
        env_pass=("GRANTED", "NOT_GRANTED", "HOME"),
        env={"LITERAL": "2"},
    )
    assert await run(bench, action) == Succeeded({"seen": "12"})


async def test_a_program_that_does_not_exist_says_which_file_is_missing(bench: Bench):
    found = await failure(bench, bench.external(["./missing"]))
    assert (found.code, "missing" in found.message) == ("cannot_run", True)
    found = await failure(bench, bench.external([bench.program("x", "#!/no/interpreter\n")]))
    assert (found.code, "/no/interpreter" in found.message) == ("cannot_run", True)


async def test_without_a_working_sandbox_nothing_is_run(bench: Bench, tmp_path: Path):
    false = tmp_path / "bwrap"
    false.write_text("#!/bin/sh\necho --disable-userns --bind-fd --ro-bind-fd; exit 1\n", encoding="utf-8")
    false.chmod(0o755)
    bench.granted["p"] = Confinement(bwrap_path=str(false))
    action = bench.sh(f"touch {tmp_path}/ran")
    found = await failure(bench, action)
    assert (found.code, found.retryable) == ("sandbox_unavailable", False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "read_onyl"}, {"network": "of"}, {"limits": {"memry": 1}}, {"backend": "none"}, {"fs_read": "all"}],
)
async def test_a_word_that_is_none_is_refused_and_never_a_default(bench: Bench, wrong: dict[str, Any]):
    bench.granted["p"] = Confinement(**wrong)
    assert (await failure(bench, bench.sh("true"))).code == "cannot_run"


async def test_mode_none_is_no_sandbox_and_keeps_the_bounds(bench: Bench):
    bench.granted["p"] = Confinement(mode="none", backend="none")
    action = bench.sh("""echo "{\\"exports\\":{\\"pid\\":$$}}" """)
    outcome = await run(bench, action)
    assert outcome.output["pid"] > 50
    assert (await failure(bench, bench.sh("sleep 30"), timeout=0.2)).code == "timeout"


async def test_memory_that_its_processes_hold_together_is_bounded(bench: Bench, notes: Notes):
    text = "#!/usr/bin/python3\nimport time\nheld = b'x' * (200 << 20)\ntime.sleep(30)\n"
    action = bench.external([bench.program("hold.py", text)], limits={"memory": 100 << 20})
    found = await failure(bench, action, notes)
    assert (found.code, found.details["oom"]) == ("killed:SIGKILL", True)
    assert notes.violations[0][0] == "oom"


async def test_a_required_secret_that_is_not_there_is_told(bench: Bench):
    found = await failure(bench, bench.sh("true", secrets=(Secret("API_KEY"),)))
    assert (found.code, "API_KEY" in found.message) == ("secret_missing", True)


async def test_only_so_many_programs_run_at_a_time(bench: Bench, tmp_path: Path):
    narrow = bench.runner.confiner
    narrow._slots.total_tokens = 1
    action = bench.sh(
        """mkdir "$ORCHESTRAL_WORKSPACE/lock" && sleep 0.05 && rmdir "$ORCHESTRAL_WORKSPACE/lock" \
        && echo '{"exports":{}}'""",
        sandbox=SandboxRequest(write=("${workspace}",)),
    )
    bench.granted["p"] = Confinement(mode="workspace_write")
    outcomes: list[Outcome] = []

    async def one(number: int) -> None:
        outcomes.append(await run(bench, action, execution_id=f"exec_{number}"))

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(one, number)
    assert outcomes == [Succeeded({})] * 4


@pytest.mark.parametrize("subreaper", [False, True])
async def test_twenty_sandboxed_runs_leave_no_zombie_of_ours_and_no_descriptor(
    bench: Bench, subreaper: bool, request: pytest.FixtureRequest
):
    # As PID 1 of a container we are given the sandboxes' first processes, which end after bwrap itself.
    _be_subreaper(subreaper)
    request.addfinalizer(lambda: _be_subreaper(False))
    action = bench.sh("""echo '{"exports":{}}'""")
    await run(bench, action)  # the first run asks the sandbox whether it holds, which is not what is counted here
    before = (children(), len(os.listdir("/proc/self/fd")))
    for number in range(20):
        await run(bench, action, execution_id=f"exec_{number}")
    assert (children(), len(os.listdir("/proc/self/fd"))) == before


def _be_subreaper(wanted: bool) -> None:
    assert ctypes.CDLL(None).prctl(36, int(wanted), 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER


@pytest.mark.slow
async def test_a_plugin_lives_past_the_ten_seconds_after_which_trio_ends_idle_threads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    # bwrap's --die-with-parent means the thread that spawned it: from a worker thread this plugin dies at 10 s,
    # unless something else keeps that worker busy, as looking at the memory does.
    monkeypatch.setattr(process, "WATCH_INTERVAL", 60.0)
    action = bench.sh("""sleep 11.5; echo '{"exports":{"alive":true}}'""", limits={"timeout": 18.0})
    assert await run(bench, action) == Succeeded({"alive": True})


async def test_an_execution_id_cannot_name_another_folder(bench: Bench):
    with pytest.raises(ValueError, match="folder"):
        await bench.runner.run(bench.sh("true"), replace(bench.attempt(), execution_id="../x"), Notes())
