"""Is a planner that wants to see what came of its plan shown it, and does that end?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.effects import ProposePlan, StopAsking
from orchestrald.core.evolve import fold
from orchestrald.core.graft import graft
from orchestrald.core.inputs import (
    ActionStopped,
    Merged,
    PauseRequested,
    PlanConcluded,
    PlanningFailed,
    PlanPatched,
    PlanProposed,
    ResumeRequested,
    RetryRequested,
)
from orchestrald.core.model import Failure
from orchestrald.core.states import FINAL_INTERACTION
from support.plans import graph, step
from support.simulation import World

ROUNDS = 4


def asked(*, observes: int = ROUNDS, seconds: float = 0.0, **plan: Any) -> World:
    """An intent whose planner has just made a plan of one step, and wants to see what comes of it."""
    world = World()
    world.submit(None, "do it")
    (effect,) = world.take(ProposePlan)
    made = graph(step("a", "once"), **plan)
    world.say(PlanProposed(world.tick(), made, "llm:m", 0, effect.round, observes, seconds))
    return world


def add(world: World, effect: ProposePlan, *steps: dict[str, Any]) -> None:
    assert world.state.graph is not None
    made = graft(world.state.graph, effect.failed, {"steps": list(steps)}, world.state.runs, 1)
    whole = graph(*made.plan["steps"])
    world.say(PlanPatched(world.tick(), whole, made.superseded, "llm:m", effect.round))


def next_round(world: World) -> ProposePlan:
    (effect,) = world.take(ProposePlan)
    assert effect.joins
    return effect  # type: ignore[no-any-return]


def concluded(world: World, text: str = "It is done.", *, achieved: bool = True) -> None:
    world.say(PlanConcluded(world.tick(), text, achieved, "llm:m", next_round(world).round))


def test_a_plan_that_is_through_is_shown_to_its_planner_which_ends_the_interaction():
    world = asked()
    world.succeed("a", n=1)
    add(world, next_round(world), step("b", "once", params={"x": "{{a.n}}"}))
    assert world.running() == ["b"], "a is not run again"
    world.succeed("b")
    concluded(world)
    world.explain()
    assert world.state.state == "completed"
    assert world.types("interaction.planning", "plan.") == [
        "interaction.planning",
        "plan.adopted",
        "interaction.planning",
        "plan.patched",
        "interaction.planning",
        "plan.concluded",
    ]


def test_a_plan_with_closing_words_that_went_well_is_not_shown():
    world = asked(on_complete="all well")
    world.succeed("a")
    world.explain()
    assert (world.state.state, world.take(ProposePlan)) == ("completed", [])


def test_a_plan_with_closing_words_that_went_badly_is_shown():
    world = asked(on_complete="all well")
    world.fail("a")
    concluded(world, "I could not.", achieved=False)
    world.explain()
    assert world.state.state == "failed"
    assert world.state.failure == Failure("not_achieved", "I could not.")


def test_a_planner_may_end_an_interaction_without_any_plan():
    world = World()
    world.submit(None, "what is two and two?")
    (effect,) = world.take(ProposePlan)
    world.say(PlanConcluded(world.tick(), "Four.", True, "llm:m", effect.round))
    world.explain()
    assert world.state.state == "completed"
    assert world.state.conclusion is not None
    assert world.state.conclusion.text == "Four."


def test_rounds_are_bounded_and_having_had_them_all_is_no_failure():
    world = asked(observes=2)
    world.succeed("a")
    add(world, next_round(world), step("b", "once"))
    world.succeed("b")
    assert world.take(ProposePlan) == []
    world.explain()
    assert world.state.state == "completed"
    assert world.state.unobserved is not None
    assert world.state.unobserved.code == "rounds_exhausted"


def test_what_failed_in_the_last_round_makes_the_interaction_fail():
    world = asked(observes=1)
    world.fail("a")
    world.explain()
    assert world.state.state == "failed"


def test_time_is_bounded_and_waiting_for_people_does_not_count():
    slow = asked(seconds=1.0)
    slow.tick(1_000_000)
    slow.succeed("a")
    slow.explain()
    assert (slow.state.state, slow.state.unobserved and slow.state.unobserved.code) == ("completed", "time_exhausted")

    paused = asked(seconds=1.0)
    paused.say(PauseRequested(paused.tick()))
    paused.tick(1_000_000)
    paused.say(ResumeRequested(paused.tick()))
    paused.succeed("a")
    assert next_round(paused)


def test_an_empty_budget_keeps_what_was_done():
    world = asked()
    world.succeed("a")
    world.say(PlanningFailed(world.tick(), Failure("budget_exhausted", "no money"), next_round(world).round))
    world.explain()
    assert (world.state.state, world.states()) == ("completed", {"a": "succeeded"})


def test_a_planner_that_is_away_in_a_later_round_makes_it_fail_and_a_retry_asks_it_again():
    world = asked()
    world.succeed("a")
    world.say(PlanningFailed(world.tick(), Failure("model_unavailable", "away"), next_round(world).round))
    world.explain()
    assert (world.state.state, world.state.failure) == ("failed", Failure("model_unavailable", "away"))
    assert world.say(RetryRequested(world.tick())) is None
    assert world.states() == {"a": "succeeded"}
    concluded(world)
    world.explain()
    assert world.state.state == "completed"


def test_inputs_that_join_reach_the_next_round_together_and_count_rounds_anew():
    world = asked(observes=2)
    for words in ("and that", "and this"):
        world.say(Merged(world.tick(), words))
    world.succeed("a")
    joined = next_round(world)
    assert (joined.intent, world.state.joining, world.state.asked) == ("do it", ["and that", "and this"], 1)
    add(world, joined, step("b", "once"))
    world.succeed("b")
    assert (next_round(world).intent, world.state.added) == ("do it", ["and that", "and this"])


def test_what_joins_after_a_conclusion_is_told_beside_it():
    """One matter that failed, and one that came and went well: neither hides the other."""
    world = asked()
    world.succeed("a")
    first = next_round(world)
    world.say(Merged(world.tick(), "and that"))
    world.say(PlanConcluded(world.tick(), "I cannot.", False, "llm:m", first.round))
    assert next_round(world).joins
    world.say(PlanConcluded(world.tick(), "That is done.", True, "llm:m", world.state.rounds))
    world.explain()
    assert world.state.state == "failed"
    assert [(each.intent, each.text, each.achieved) for each in world.state.settled] == [("do it", "I cannot.", False)]


def test_what_joined_and_was_not_even_asked_about_makes_it_fail_and_is_asked_again_by_a_retry():
    world = asked()
    world.say(Merged(world.tick(), "and that"))
    world.succeed("a")
    world.say(PlanningFailed(world.tick(), Failure("budget_exhausted", "no money"), next_round(world).round))
    world.explain()
    assert (world.state.state, [intent for intent, _ in world.state.unplanned]) == ("failed", ["and that"])
    world.say(RetryRequested(world.tick()))
    next_round(world)
    assert world.state.joining == ["and that"]


def test_what_joins_a_plan_that_was_handed_in_is_seen_by_the_planner_that_plans_it():
    world = World()
    world.submit(graph(step("a", "once")))
    world.say(Merged(world.tick(), "and that"))
    world.succeed("a")
    merging = next_round(world)
    assert (merging.intent, world.state.merging) == ("and that", "and that")
    assert world.state.graph is not None
    made = graft(world.state.graph, "", {"steps": [step("b", "once")]}, world.state.runs, 1)
    whole = graph(*made.plan["steps"])
    world.say(PlanPatched(world.tick(), whole, (), "llm:m", merging.round, 1, ROUNDS, 60.0))
    assert (world.state.planner, world.state.observes, world.state.max_replans) == ("llm:m", ROUNDS, 1)
    world.succeed("b")
    assert next_round(world).intent == "and that"


def test_a_step_that_was_cancelled_holds_up_nobody_who_refers_to_it_later():
    world = World()
    world.submit(None, "do it")
    (effect,) = world.take(ProposePlan)
    made = graph(step("a", "once"), step("b", "once"))
    world.say(PlanProposed(world.tick(), made, "llm:m", 0, effect.round, ROUNDS))
    world.cancel()
    for name in ("a", "b"):
        world.say(ActionStopped(world.tick(), name))
    world.explain()
    world.say(RetryRequested(world.tick(), "a"))
    world.succeed("a")
    add(world, next_round(world), step("c", "once", params={"x": "{{b.x}}"}))
    assert world.states()["c"] == "skipped"
    concluded(world)
    world.explain()
    assert world.state.state == "completed"


@pytest.mark.parametrize("doing", ["replanning", "observing", "joining"])
def test_what_it_was_planning_when_it_was_cancelled_is_not_half_remembered_by_a_retry(doing: str):
    world = World()
    world.submit(None, "do it")
    (effect,) = world.take(ProposePlan)
    world.say(PlanProposed(world.tick(), graph(step("a", "once")), "llm:m", 1, effect.round, ROUNDS))
    if doing == "joining":
        world.say(Merged(world.tick(), "and that"))
    world.fail("a") if doing == "replanning" else world.succeed("a")
    world.take(ProposePlan)
    assert getattr(world.state, doing)
    world.cancel()
    world.explain()
    assert world.state.state == "cancelled"
    assert world.say(RetryRequested(world.tick())) is None
    state = world.state
    assert not (state.replanning or state.merging)
    world.say(PauseRequested(world.tick()))
    world.say(ResumeRequested(world.tick()))
    assert fold(world.events).facts() == world.state.facts()
    if doing == "replanning":
        assert world.running() == ["a"]
    else:
        assert [effect.joins for effect in world.take(ProposePlan)] == [True, True], "by the retry, and by the resume"
        assert (state.observing, state.joining) == (True, ["and that"] if doing == "joining" else [])


def test_time_without_a_daemon_does_not_count():
    world = asked(seconds=1.0)
    world.tick(3_600_000_000)
    world.crash()
    world.answer("a", {"decision": "retry"})
    world.succeed("a")
    assert next_round(world)


def test_cancelling_what_is_paused_stops_what_is_being_asked():
    world = asked()
    world.succeed("a")
    world.say(PauseRequested(world.tick()))
    world.cancel()
    assert len(world.take(StopAsking)) == 1


def test_a_crash_and_a_pause_ask_the_same_round_again():
    world = asked()
    world.succeed("a")
    before = next_round(world).round
    world.crash()
    assert next_round(world).round == before
    world.say(PauseRequested(world.tick()))
    world.say(ResumeRequested(world.tick()))
    effect = next_round(world)
    assert (effect.round, effect.intent) == (before, "do it")


def test_cancelling_stops_what_is_being_asked():
    world = asked()
    world.succeed("a")
    late = next_round(world)
    world.cancel()
    assert len(world.take(StopAsking)) == 1
    refusal = world.say(PlanConcluded(world.tick(), "done", True, "llm:m", late.round))
    assert refusal is not None
    assert refusal.code == "stale"
    world.explain()
    assert world.state.state == "cancelled"


def test_giving_up_on_a_failed_part_lets_what_runs_come_to_its_end():
    world = World()
    world.submit(None, "do it")
    (effect,) = world.take(ProposePlan)
    made = graph(step("a", "once"), step("after", "once", depends_on=["a"]), step("b", "once"))
    world.say(PlanProposed(world.tick(), made, "llm:m", 1, effect.round, ROUNDS))
    world.fail("a")
    (replan,) = world.take(ProposePlan)
    assert replan.failed == "a"
    world.say(PlanConcluded(world.tick(), "That is all.", True, "llm:m", replan.round))
    assert world.states() == {"a": "failed", "after": "skipped", "b": "running"}
    world.succeed("b")
    world.explain()
    assert world.state.state == "completed", "the planner has seen what failed"


MOVES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=50)


@given(st.integers(1, 4), MOVES)
def test_whatever_planner_and_world_do_it_replays_and_ends(observes: int, moves: list[tuple[int, int]]) -> None:
    world = asked(observes=observes)
    for kind, pick in moves:
        move(world, kind, pick)
        assert fold(world.events).facts() == world.state.facts()
    for _ in range(200):
        if world.state.state in FINAL_INTERACTION:
            break
        for name in list(world.state.waiting):  # interrupted by a crash, and not to be repeated unasked
            world.answer(name, {"decision": "retry"})
        for kind in (6, 0, 4, 8):
            move(world, kind, 1)
    assert world.state.state in FINAL_INTERACTION
    assert [event.type for event in world.events].count("plan.unobserved") <= 1 + len(moves)


def move(world: World, kind: int, pick: int) -> None:
    running = world.running()
    if kind <= 1 and running:
        world.succeed(running[pick % len(running)])
    elif kind == 2 and running:
        world.fail(running[pick % len(running)])
    elif kind == 3:
        world.crash()
    elif kind in {4, 5}:
        for effect in world.take(ProposePlan):
            answer(world, effect, pick)
    elif kind == 6:
        world.say(ResumeRequested(world.tick()))
    elif kind == 7:
        world.say((PauseRequested(world.tick()), Merged(world.tick(), f"m{pick}"))[pick % 2])
    elif kind == 8:
        world.explain()
    elif kind == 9:
        by_a_person(world, pick)


def by_a_person(world: World, pick: int) -> None:
    if pick % 4 == 0:
        world.say(RetryRequested(world.tick()))
    elif pick % 4 == 1:
        world.cancel()
        for name in world.running():
            world.say(ActionStopped(world.tick(), name))


def answer(world: World, effect: ProposePlan, pick: int) -> None:
    if pick % 3 == 0 and effect.joins:
        add(world, effect, step(f"s{world.now}", "once"))
    elif pick % 3 == 1:
        world.say(PlanConcluded(world.tick(), "enough", pick % 2 == 0, "llm:m", effect.round))
    else:
        world.say(PlanningFailed(world.tick(), Failure("away", "nobody"), effect.round))
