"""Screenplays: what happened, and what followed."""

import pytest

from orchestrald.core.effects import Explain, ProposePlan, RunAction, SetTimer, StopAction
from orchestrald.core.inputs import (
    ActionAsked,
    ActionStopped,
    ActionSucceeded,
    PlanningFailed,
    PlanProposed,
    TimerFired,
)
from orchestrald.core.model import Failure, Question
from support.plans import graph, step
from support.simulation import World


def started(world: World) -> list[str]:
    return [effect.step_id for effect in world.take(RunAction)]


def test_a_finished_step_at_once_starts_what_waited_for_it_in_the_same_decision() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", depends_on=["a"]), step("c", depends_on=["a"])))
    assert started(world) == ["a"]
    world.succeed("a", x=1)
    assert world.types("step.")[-3:] == ["step.succeeded a", "step.started b", "step.started c"]
    assert started(world) == ["b", "c"]


def test_ready_steps_start_in_plan_order() -> None:
    world = World()
    world.submit(graph(step("z"), step("m"), step("a")))
    assert started(world) == ["z", "m", "a"]


def test_parameters_carry_the_values_of_earlier_outputs_with_their_types() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", params={"n": "{{a.list[1]}}", "text": "<{{a.list}}>"})))
    world.take(RunAction)
    world.succeed("a", list=[1, 2])
    assert world.take(RunAction)[0].params == {"n": 2, "text": "<[1,2]>"}


def test_a_reference_without_a_value_fails_the_step_with_the_keys_that_are_there() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", params={"n": "{{a.total}}"})))
    world.succeed("a", sum=3)
    failure = world.state.runs["b"].failure
    assert failure is not None
    assert failure.code == "missing_value"
    assert "sum" in failure.message


def test_a_failed_step_skips_everything_downstream_and_nothing_else() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", depends_on=["a"]), step("c", depends_on=["b"]), step("d")))
    world.fail("a")
    assert world.states() == {"a": "failed", "b": "skipped", "c": "skipped", "d": "running"}
    world.succeed("d")
    assert [e.status for e in world.take(Explain)] == ["failed"]


def test_a_retryable_failure_waits_for_its_moment_and_starts_again() -> None:
    world = World()
    world.submit(graph(step("a")))
    world.take(RunAction)
    world.fail("a", retryable=True)
    timer = world.take(SetTimer)[0]
    assert timer.due_at == world.now + 100_000  # half of 200 ms: the jitter was 0.5
    assert world.say(TimerFired(timer.due_at - 1, "a")) is not None
    assert world.say(TimerFired(timer.due_at, "a")) is None
    assert [effect.attempt for effect in world.take(RunAction)] == [2]


def test_retries_end_when_the_budget_is_spent() -> None:
    world = World()
    world.submit(graph(step("a", retry={"max": 1})))
    world.fail("a", retryable=True)
    world.say(TimerFired(world.take(SetTimer)[0].due_at, "a"))
    world.fail("a", retryable=True)
    assert world.states() == {"a": "failed"}


def test_parameters_that_references_have_multiplied_beyond_measure_fail_the_step() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", params={"x": "{{a.x}}" * 20})))
    world.succeed("a", x="y" * 1_000_000)
    failure = world.state.runs["b"].failure
    assert failure is not None
    assert failure.code == "params_too_large"


def test_when_that_does_not_hold_skips_the_step_and_dependents_see_null() -> None:
    world = World()
    world.submit(graph(step("a", when=False), step("b", params={"x": "{{a.deep.path}}"})))
    assert world.states() == {"a": "skipped", "b": "running"}
    assert world.take(RunAction)[0].params == {"x": None}


def test_for_each_expands_runs_and_gathers_in_order() -> None:
    world = World()
    world.submit(
        graph(
            step("list"),
            step("each", for_each="{{list.files}}", params={"f": "{{item.name}}", "i": "{{index}}"}),
            step("sum", params={"all": "{{each}}", "second": "{{each[1].n}}"}),
        )
    )
    world.take(RunAction)
    world.succeed("list", files=[{"name": "x"}, {"name": "y"}])
    assert [effect.params for effect in world.take(RunAction)] == [{"f": "x", "i": 0}, {"f": "y", "i": 1}]
    world.succeed("each[1]", n=2)
    world.succeed("each[0]", n=1)
    assert world.take(RunAction)[0].params == {"all": [{"n": 1}, {"n": 2}], "second": 2}


def test_for_each_over_nothing_is_fine() -> None:
    world = World()
    world.submit(graph(step("each", for_each=[]), step("after", params={"all": "{{each}}"})))
    assert world.take(RunAction)[0].params == {"all": []}


def test_for_each_respects_max_parallel() -> None:
    world = World()
    world.submit(graph(step("each", for_each={"items": ["{{{{a", "b", "c", "d"], "max_parallel": 2})))
    assert started(world) == ["each[0]", "each[1]"]
    world.succeed("each[1]")
    assert started(world) == ["each[2]"]
    world.succeed("each[0]")
    world.succeed("each[2]")
    assert started(world) == ["each[3]"]


def test_a_for_each_over_something_else_fails_in_words() -> None:
    world = World()
    world.submit(graph(step("a"), step("each", for_each="{{a.n}}")))
    world.succeed("a", n=5)
    failure = world.state.runs["each"].failure
    assert failure is not None
    assert failure.code == "not_a_list"


def test_one_failed_item_fails_the_step_after_all_items_have_ended() -> None:
    world = World()
    world.submit(graph(step("each", for_each=[1, 2])))
    world.fail("each[0]")
    assert world.states()["each"] == "running"
    world.succeed("each[1]")
    assert world.states()["each"] == "failed"


def test_a_missing_export_fails_the_step() -> None:
    world = World()
    world.submit(graph(step("a", exports=["total"])))
    world.succeed("a", sum=1)
    assert world.states() == {"a": "failed"}


def test_a_wait_never_holds_back_a_ready_sibling() -> None:
    world = World()
    world.submit(graph({"id": "ask", "kind": "wait_user", "params": {"prompt": "Which?"}}, step("other")))
    assert world.states() == {"ask": "waiting", "other": "running"}
    world.succeed("other")
    assert world.state.state == "waiting"
    world.answer("ask", "this one")
    world.settle()
    assert world.state.state == "completed"
    assert world.state.runs["ask"].output == {"answer": "this one", "by": "uid:0"}


def test_an_answer_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    world = World()
    world.submit(graph({"id": "ask", "kind": "wait_user", "params": {"schema": {"type": "integer"}}}))
    before = world.state.facts()
    refusal = world.answer("ask", "seven")
    assert refusal is not None
    assert refusal.code == "invalid_params"
    assert world.state.facts() == before


def test_a_clarification_runs_the_step_again_with_the_answer_and_its_own_state() -> None:
    world = World()
    world.submit(graph(step("a")))
    world.take(RunAction)
    world.say(ActionAsked(world.tick(), "a", Question("clarification", "Which year?", state="opaque")))
    assert world.state.state == "waiting"
    world.answer("a", {"year": 2025})
    again = world.take(RunAction)[0]
    assert (again.answer, again.state, again.attempt) == ({"year": 2025}, "opaque", 2)


def test_an_approval_is_granted_only_by_decide_and_only_for_its_digest() -> None:
    world = World()
    world.submit(graph(step("a", "guarded", params={"rm": "x"})))
    assert not world.take(RunAction)
    digest = world.state.runs["a"].question.digest  # type: ignore[union-attr]
    assert world.answer("a", "yes").code == "denied"  # type: ignore[union-attr]
    wrong = {"digest": "sha256:other", "decision": "approve"}
    assert world.answer("a", wrong, "decide").code == "conflict"  # type: ignore[union-attr]
    assert world.answer("a", {"digest": digest, "decision": "approve"}, "decide") is None
    approval = world.take(RunAction)[0].approval
    assert approval.items() >= {"decision": "approved", "by": "uid:0", "digest": digest}.items()


def test_a_denied_approval_fails_the_step() -> None:
    world = World()
    world.submit(graph(step("a", "guarded")))
    digest = world.state.runs["a"].question.digest  # type: ignore[union-attr]
    world.answer("a", {"digest": digest, "decision": "deny"}, "decide")
    failure = world.state.runs["a"].failure
    assert failure is not None
    assert failure.code == "denied"


def test_after_a_crash_an_idempotent_step_runs_again_under_the_same_key() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", depends_on=["a"])))
    world.succeed("a")
    world.crash()
    again = world.take(RunAction)
    assert [(e.step_id, e.attempt, e.revision) for e in again] == [("b", 2, 1)]
    assert "step.interrupted b" in world.types()


def test_after_a_crash_a_step_that_may_not_be_repeated_waits_for_a_decision() -> None:
    world = World()
    world.submit(graph(step("a", "once"), step("b", params={"x": "{{a}}"})))
    world.crash()
    assert not world.take(RunAction)
    assert world.state.state == "waiting"
    world.crash()
    assert world.states()["a"] == "waiting"
    world.answer("a", {"decision": "skip", "value": {"done": True}})
    assert world.take(RunAction)[0].params == {"x": {"done": True}}


@pytest.mark.parametrize(("decision", "state"), [("retry", "running"), ("fail", "failed")])
def test_an_interrupted_step_can_be_retried_or_failed(decision: str, state: str) -> None:
    world = World()
    world.submit(graph(step("a", "once")))
    world.crash()
    world.answer("a", {"decision": decision})
    assert world.states() == {"a": state}


def test_a_crash_during_a_backoff_keeps_the_moment() -> None:
    world = World()
    world.submit(graph(step("a")))
    world.fail("a", retryable=True)
    due_at = world.take(SetTimer)[0].due_at
    world.crash()
    assert world.take(SetTimer) == [SetTimer("a", due_at)]


def test_cancelling_ends_only_when_the_running_steps_are_gone() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", depends_on=["a"])))
    world.cancel()
    assert world.state.state == "cancelling"
    assert world.take(StopAction) == [StopAction("a")]
    assert not world.take(Explain)
    world.say(ActionStopped(world.tick(), "a"))
    world.explain()
    assert world.state.state == "cancelled"
    assert world.states() == {"a": "cancelled", "b": "cancelled"}


def test_a_step_that_ends_while_it_is_being_cancelled_keeps_its_result() -> None:
    world = World()
    world.submit(graph(step("a"), step("b", depends_on=["a"])))
    world.cancel()
    world.succeed("a", n=1)
    world.explain()
    assert world.states() == {"a": "succeeded", "b": "cancelled"}
    assert world.state.state == "cancelled"


def test_cancelling_twice_is_refused() -> None:
    world = World()
    world.submit(graph(step("a")))
    world.cancel()
    refusal = world.cancel()
    assert refusal is not None
    assert refusal.code == "wrong_state"


def test_a_late_report_is_refused_as_stale() -> None:
    world = World()
    world.submit(graph(step("a")))
    world.succeed("a")
    refusal = world.say(ActionSucceeded(world.tick(), "a", {}))
    assert refusal is not None
    assert refusal.code == "stale"


def test_an_intent_is_planned_and_then_run() -> None:
    world = World()
    world.submit(None, "survey .")
    assert world.take(ProposePlan) == [ProposePlan("survey .", round=1)]
    world.say(PlanProposed(world.tick(), graph(step("a")), "playbook:survey"))
    world.settle()
    assert world.state.state == "completed"
    assert world.types("assistant.", "interaction.")[-2:] == ["assistant.output", "interaction.completed"]


def test_a_planner_that_fails_ends_the_interaction_in_words() -> None:
    world = World()
    world.submit(None)
    world.take(ProposePlan)
    world.say(PlanningFailed(world.tick(), Failure("no_playbook", "nothing fits")))
    world.settle()
    assert world.state.state == "failed"
    assert world.state.failure == Failure("no_playbook", "nothing fits")


def test_a_crash_while_planning_asks_the_planner_again() -> None:
    world = World()
    world.submit(None, "survey")
    world.crash()
    assert world.take(ProposePlan) == [ProposePlan("survey", round=1)]


def test_a_plan_may_make_a_step_less_repeatable_but_never_more() -> None:
    world = World()
    world.submit(graph(step("a", idempotent=False), step("b", "once", idempotent=True)))
    world.crash()
    assert world.states() == {"a": "waiting", "b": "waiting"}


def test_wait_until_ends_by_its_timer() -> None:
    world = World()
    world.submit(graph({"id": "pause", "kind": "wait_until", "params": {"for": "10s"}}))
    assert world.state.state == "waiting"
    world.settle()
    assert world.state.state == "completed"


class OneAtATime:
    """Slots for one step of the action `work` at a time."""

    def __init__(self) -> None:
        self.free = 1

    def has_room(self, running: int) -> bool:
        return True

    def take(self, action: str) -> bool:
        if action == "work":
            self.free -= 1
            return self.free >= 0 or not self._put_back()
        return True

    def _put_back(self) -> bool:
        self.free += 1
        return True


def test_an_action_at_its_limit_does_not_hold_back_another_action() -> None:
    slots = OneAtATime()
    world = World(slots)
    world.submit(graph(step("a"), step("b"), step("c", "once")))
    assert started(world) == ["a", "c"]
    slots.free += 1
    world.succeed("a")
    assert started(world) == ["b"]


@pytest.mark.parametrize("moment", [1e308, "9" * 400 + "h"])
def test_a_moment_that_no_clock_can_show_fails_the_step_in_words(moment: object) -> None:
    world = World()
    world.submit(graph(step("a"), step("w", kind="wait_until", action="", params={"for": "{{a.pause}}"})))
    world.succeed("a", pause=moment)
    assert world.states() == {"a": "succeeded", "w": "failed"}


@pytest.mark.parametrize("schema", ["text", {"pattern": "("}, {"$ref": "http://example.org/x"}])
def test_a_schema_that_cannot_be_used_fails_the_step_that_would_ask_with_it(schema: object) -> None:
    world = World()
    binding = {"from": "a.schema", "to": "schema"}
    world.submit(graph(step("a"), step("w", kind="wait_user", action="", io_bindings=[binding])))
    world.succeed("a", schema=schema)
    failure = world.state.runs["w"].failure
    assert failure is not None
    assert "schema" in failure.message
