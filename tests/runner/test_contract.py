"""Do the real runner and the scripted one keep the same promises?"""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import ActionSpec, Failure
from orchestrald.hookspecs import Action, ActionContext, ActionError
from orchestrald.runner.base import Attempt, Failed, Observer, Outcome, Runner, Succeeded
from orchestrald.runner.fake import Scripted, ScriptedRunner
from support.bench import Bench, Notes

Make = Callable[[str], tuple[Runner, LoadedAction]]


async def _sleep(attempt: Attempt, observer: Observer) -> Outcome:
    await trio.sleep_forever()
    raise AssertionError


async def _progress(attempt: Attempt, observer: Observer) -> Outcome:
    observer.progress(1, 2, "half")
    return Succeeded({"attempt": attempt.attempt})


async def _crash(attempt: Attempt, observer: Observer) -> Outcome:
    raise KeyError("x")


SCRIPT: dict[str, list[Scripted]] = {
    "succeed": [Succeeded({"n": 1})],
    "fail": [Failed(Failure("mine", "no"))],
    "sleep": [_sleep],
    "progress": [_progress],
    "crash": [_crash],
}


async def _act(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    match params["what"]:
        case "succeed":
            return {"n": 1}
        case "fail":
            raise ActionError("no", code="mine")
        case "sleep":
            await trio.sleep_forever()
        case "progress":
            context.shell.progress(1, 2, "half")
            return {"attempt": context.attempt}
    raise KeyError("x")


@pytest.fixture(params=["scripted", "real"])
def make(request: pytest.FixtureRequest, bench: Bench) -> Make:
    def made(what: str) -> tuple[Runner, LoadedAction]:
        action = LoadedAction(ActionSpec(what), Action(what, _act))
        return (ScriptedRunner(SCRIPT) if request.param == "scripted" else bench.runner), action

    return made


async def outcome(make: Make, bench: Bench, what: str, notes: Notes | None = None, **fields: Any) -> Outcome:
    runner, action = make(what)
    with trio.fail_after(5):
        return await runner.run(action, bench.attempt(params={"what": what}, **fields), notes or Notes())


async def test_a_success_is_the_output(make: Make, bench: Bench):
    assert await outcome(make, bench, "succeed") == Succeeded({"n": 1})


async def test_a_failure_keeps_its_code_and_message(make: Make, bench: Bench):
    assert await outcome(make, bench, "fail") == Failed(Failure("mine", "no"))


async def test_a_crash_is_an_outcome_and_not_an_exception(make: Make, bench: Bench):
    found = await outcome(make, bench, "crash")
    assert isinstance(found, Failed)
    assert (found.failure.code, found.failure.message) == ("internal_plugin_error", "KeyError: 'x'")


async def test_the_timeout_is_an_outcome(make: Make, bench: Bench):
    found = await outcome(make, bench, "sleep", timeout=0.05)
    assert isinstance(found, Failed)
    assert (found.failure.code, found.failure.retryable) == ("timeout", False)


async def test_cancellation_passes_through(make: Make, bench: Bench):
    with trio.move_on_after(0.05) as scope:
        await outcome(make, bench, "sleep")
    assert scope.cancelled_caught


async def test_progress_reaches_the_observer(make: Make, bench: Bench, notes: Notes):
    assert await outcome(make, bench, "progress", notes, attempt=2) == Succeeded({"attempt": 2})
    assert notes.reports == [(1, 2, "half")]
