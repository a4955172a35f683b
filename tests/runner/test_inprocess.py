"""Does whatever an in-process action does become the right outcome, cheaply?"""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec
from orchestrald.core.questions import digest
from orchestrald.errors import SandboxUnavailable
from orchestrald.hookspecs import (
    Action,
    ActionContext,
    ActionError,
    Confinement,
    NeedApproval,
    NeedClarification,
    RetryableError,
)
from orchestrald.runner.base import Asked, Failed, Outcome, Succeeded
from support.bench import Bench, Notes


def loaded(run: Callable[..., Any], **fields: Any) -> LoadedAction:
    known = {name: fields[name] for name in ("input_schema", "output_schema", "idempotent") if name in fields}
    return LoadedAction(ActionSpec("act", **known), Action("act", run, **fields))


def raising(error: BaseException) -> LoadedAction:
    async def run(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        raise error

    return loaded(run)


def returning(output: Any, **fields: Any) -> LoadedAction:
    async def run(params: dict[str, Any], context: ActionContext) -> Any:
        return output

    return loaded(run, **fields)


async def run(bench: Bench, action: LoadedAction, notes: Notes | None = None, **fields: Any) -> Outcome:
    with trio.fail_after(10):
        return await bench.runner.run(action, bench.attempt(**fields), notes or Notes())


async def test_an_action_gets_its_parameters_and_its_attempt(bench: Bench, notes: Notes):
    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        context.shell.progress(1, 2, "half")
        context.shell.log("info", "hello")
        return {"p": params, "step": context.step_id, "key": context.idempotency_key, "ws": context.workspace}

    outcome = await run(bench, loaded(act), notes, params={"a": 1})
    assert outcome == Succeeded({"p": {"a": 1}, "step": "s1", "key": "int_1/s1/1", "ws": str(bench.workspace)})
    assert (notes.reports, notes.logs) == ([(1, 2, "half")], [("info", "hello")])


async def test_an_action_cannot_change_what_the_core_holds(bench: Bench):
    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        params["list"].append(2)
        return {}

    held = {"list": [1]}
    await run(bench, loaded(act), params=held)
    assert held == {"list": [1]}


@pytest.mark.parametrize(
    ("error", "code", "retryable", "wait"),
    [
        (ActionError("no", code="mine", details={"a": 1}), "mine", False, None),
        (RetryableError("later", retry_after_ms=5), "retryable", True, 5),
        (KeyError("x"), "internal_plugin_error", False, None),
        (SandboxUnavailable("no bwrap"), "sandbox_unavailable", False, None),
        (ExceptionGroup("nursery", [ActionError("inner", code="mine")]), "mine", False, None),
        (SystemError(), "internal_plugin_error", False, None),
    ],
)
async def test_an_exception_is_a_failure(bench: Bench, error: Exception, code: str, retryable: bool, wait: int | None):
    outcome = await run(bench, raising(error))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.retryable, outcome.failure.retry_after_ms) == (code, retryable, wait)


async def test_a_strangers_exception_is_told_by_type_and_message(bench: Bench, caplog: pytest.LogCaptureFixture):
    outcome = await run(bench, raising(ZeroDivisionError("by zero")))
    assert isinstance(outcome, Failed)
    assert outcome.failure.message == "ZeroDivisionError: by zero"
    assert "Traceback" in caplog.text


async def test_questions_end_the_attempt(bench: Bench):
    outcome = await run(bench, raising(NeedClarification("Which?", schema={"type": "string"}, state="s")))
    assert isinstance(outcome, Asked)
    assert (outcome.question.kind, outcome.question.schema, outcome.question.state) == (
        "clarification", {"type": "string"}, "s",
    )  # fmt: skip
    outcome = await run(bench, raising(NeedApproval("rm is for ever", command="rm x")), params={"a": 1})
    assert isinstance(outcome, Asked)
    assert (outcome.question.kind, outcome.question.digest) == ("approval", digest("act", {"a": 1}))
    assert outcome.question.preview["command"] == "rm x"


async def test_an_approval_for_other_parameters_never_arrives(bench: Bench):
    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        return {"approval": context.approval}

    said = {"decision": "approved", "bound": digest("act", {"a": 1})}
    assert await run(bench, loaded(act), params={"a": 1}, approval=said) == Succeeded({"approval": said})
    assert await run(bench, loaded(act), params={"a": 2}, approval=said) == Succeeded({"approval": None})
    assert await run(bench, loaded(act), params={"a": 1}, approval=True) == Succeeded({"approval": None})


@pytest.mark.parametrize(("of_action", "of_step"), [(0.05, None), (None, 0.05), (5.0, 0.05), (0.05, 5.0)])
async def test_the_smaller_timeout_ends_the_action(bench: Bench, of_action: float | None, of_step: float | None):
    ended = []

    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        try:
            await trio.sleep(30)  # cut short by the timeout, which is what is tested
        finally:
            ended.append(context.deadline_ms is not None)
        return {}

    outcome = await run(bench, loaded(act, timeout=of_action, idempotent=True), timeout=of_step)
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.retryable, ended) == ("timeout", True, [True])


async def test_cancellation_passes_through(bench: Bench):
    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        await trio.sleep_forever()
        return {}

    with trio.move_on_after(0.05) as scope:
        await run(bench, loaded(act))
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    "output",
    [
        None, [], {"a": object()}, {"a": (1,)}, {1: "a"}, {"a": [float("nan")]}, {"a": float("inf")}, {"a": b"x"},
        {"a": "\ud800"}, {"\ud800": 1}, {"a": {1, 2}},
    ],
    ids=repr,
)  # fmt: skip
async def test_an_output_that_json_cannot_hold_is_a_failure(bench: Bench, output: Any):
    outcome = await run(bench, returning(output))
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "invalid_output"


async def test_an_output_that_is_too_deep_or_holds_itself_is_a_failure(bench: Bench):
    itself: dict[str, Any] = {}
    itself["itself"] = itself
    outcome = await run(bench, returning(itself))
    assert isinstance(outcome, Failed)
    assert "deep" in outcome.failure.message


async def test_schemas_hold_before_and_after(bench: Bench):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}, "required": ["n"]}

    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        return {"n": params["n"] if params["n"] < 9 else "nine"}

    action = loaded(act, input_schema=schema, output_schema=schema)
    assert await run(bench, action) == Succeeded({"n": 3})
    for params, code in (({"n": "x"}, "invalid_params"), ({"n": 9}, "invalid_output")):
        outcome = await run(bench, action, params=params)
        assert isinstance(outcome, Failed)
        assert outcome.failure.code == code


async def test_the_scratch_folder_exists_only_when_asked_for_and_not_afterwards(bench: Bench):
    seen = []

    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        seen.append(os.listdir(bench.runner._scratch))
        seen.append(os.stat(context.scratch).st_mode & 0o777)
        os.mkdir(f"{context.scratch}/folder")
        return {}

    await run(bench, loaded(act))
    assert seen == [[], 0o700]
    assert os.listdir(bench.runner._scratch) == []


@pytest.mark.kernel
async def test_an_action_runs_programs_in_the_sandbox(bench: Bench, notes: Notes):
    async def act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        done = await context.shell.run_program(
            ["sh", "-c", "cat; echo err >&2; touch x; exit 4"],
            confinement=Confinement(),
            env={},
            cwd=context.workspace,
            stdin=b"in",
            timeout=5.0,
            max_output_bytes=100,
        )
        return {"status": done.status, "out": done.stdout.decode(), "sandboxed": done.sandboxed}

    assert await run(bench, loaded(act), notes) == Succeeded({"status": 4, "out": "in", "sandboxed": True})
    assert not (bench.workspace / "x").exists()
    assert notes.violations[0][0] == "suspected_denial"


async def test_a_step_that_does_nothing_costs_microseconds(bench: Bench):
    action, attempt, notes = returning({"ok": True}), bench.attempt(params={"a": 1}), Notes()
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(100):
            await bench.runner.run(action, attempt, notes)
        best = min(best, (time.perf_counter() - started) / 100)
    assert best < 40e-6
