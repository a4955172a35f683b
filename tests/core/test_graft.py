"""Replacing a failed subgraph: what goes, what stays, and what new steps refer to."""

from typing import Any

from orchestrald.core.effects import ProposePlan, RunAction
from orchestrald.core.evolve import fold
from orchestrald.core.graft import graft
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import PlanningFailed, PlanPatched, Submitted
from orchestrald.core.model import Failure
from orchestrald.core.normalize import normalize
from support.plans import CATALOG, graph, step
from support.simulation import World

PLAN = graph(
    step("a"),
    step("b", params={"x": "{{a.n}}"}, idempotent=False),
    step("c", params={"y": "{{b.n}}"}),
    step("free"),
    on_complete="{{c.n}}",
)


def replanning_world() -> World:
    world = World()
    world.say(Submitted(world.tick(), "int_1", "thr_1", "test", graph=PLAN, max_replans=1))
    world.succeed("a", n=1)
    world.take(RunAction)
    world.fail("b")
    return world


def replace(world: World, *steps: dict[str, Any]) -> None:
    plan = world.state.graph
    assert plan is not None
    made = graft(plan, "b", {"steps": list(steps)}, world.state.runs, world.state.replans)
    built = normalize(made.plan, CATALOG)
    assert isinstance(built, Graph), built
    world.say(PlanPatched(world.tick(), built, made.superseded, "test"))


def test_a_failed_step_asks_once_for_a_replacement_of_its_subgraph() -> None:
    world = replanning_world()
    assert [effect.failed for effect in world.take(ProposePlan)] == ["b"]
    assert world.states() == {"a": "succeeded", "b": "failed", "c": "pending", "free": "running"}


def test_a_replacement_runs_and_what_was_finished_is_not_run_again() -> None:
    world = replanning_world()
    world.take(ProposePlan)
    replace(world, step("b", params={"x": "{{a.n}}"}), step("c", params={"y": "{{b.n}}", "z": "{{a.n}}"}))
    assert world.states()["b"] == "superseded"
    assert [(e.step_id, e.params) for e in world.take(RunAction)] == [("r1_b", {"x": 1})]
    world.succeed("r1_b", n=2)
    assert [(e.step_id, e.params) for e in world.take(RunAction)] == [("r1_c", {"y": 2, "z": 1})]
    world.succeed("free")
    world.succeed("r1_c", n=3)
    world.explain()
    assert world.state.state == "completed"
    assert world.types("step.started").count("step.started a") == 1
    assert fold(world.events).facts() == world.state.facts()


def test_bindings_dependencies_conditions_and_closing_words_follow_the_renaming() -> None:
    new = [
        step("b"),
        step("c", io_bindings=[{"from": "b.n", "to": "y"}], depends_on=["b"], when="{{b.ok}}", for_each="{{b.l}}"),
    ]
    made = graft(PLAN, "b", {"steps": new}, {"a", "b", "c", "free"}, 1)
    assert made.renamed == {"b": "r1_b", "c": "r1_c"}
    assert made.plan["steps"][-1] == {
        "id": "r1_c",
        "action": "work",
        "io_bindings": [{"from": "r1_b.n", "to": "y"}],
        "depends_on": ["r1_b"],
        "when": "{{r1_b.ok}}",
        "for_each": "{{r1_b.l}}",
    }
    assert made.plan["on_complete"] == "{{r1_c.n}}"


def test_closing_words_about_a_step_that_is_gone_are_dropped() -> None:
    assert graft(PLAN, "b", {"steps": [step("d")]}, {"a", "b", "c", "free"}, 1).plan["on_complete"] is None


def test_a_replan_that_comes_to_nothing_lets_the_rest_finish_and_fails() -> None:
    world = replanning_world()
    world.take(ProposePlan)
    world.say(PlanningFailed(world.tick(), Failure("planner_unavailable", "nobody is there")))
    assert world.states()["c"] == "skipped"
    world.succeed("free")
    world.explain()
    assert world.state.state == "failed"
    assert fold(world.events).facts() == world.state.facts()


def test_a_second_failure_is_final() -> None:
    world = replanning_world()
    world.take(ProposePlan)
    replace(world, step("b"))
    world.fail("r1_b")
    assert not world.take(ProposePlan)
    assert world.states()["r1_b"] == "failed"


def test_a_crash_while_replanning_asks_again_for_the_same_subgraph() -> None:
    world = replanning_world()
    world.crash()
    assert [effect.failed for effect in world.take(ProposePlan)] == ["b"]


def test_what_is_no_plan_replaces_nothing_and_is_reported_by_the_normalizer() -> None:
    for nonsense in (None, [], {"steps": 7}, {"steps": [7]}):
        assert graft(PLAN, "b", nonsense, {"a", "b"}, 1).superseded == ("b", "c")


def test_what_a_replacement_hangs_on_a_step_that_has_failed_meanwhile_is_skipped_and_the_turn_ends() -> None:
    world = replanning_world()
    world.fail("free")
    replace(world, step("n", depends_on=["free"]))
    assert world.states()["n"] == "skipped"
    world.explain()
    assert world.state.state == "failed"


def test_a_step_keeps_its_retries_while_a_replacement_for_another_is_thought_about() -> None:
    world = replanning_world()
    world.fail("free", retryable=True)
    assert world.states()["free"] == "retrying"
