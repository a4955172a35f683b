"""The laws of the core, for any plan and any behaviour of the world."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.decide import decide
from orchestrald.core.effects import ProposePlan
from orchestrald.core.evolve import fold
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import (
    ActionFailed,
    ActionSucceeded,
    Input,
    Merged,
    PauseRequested,
    PlanningFailed,
    PlanPatched,
    ResumeRequested,
    RetryRequested,
    SkipRequested,
    SlotsFreed,
    TimerFired,
)
from orchestrald.core.model import Failure
from orchestrald.core.states import FINAL_INTERACTION, FINISHED, InteractionState
from support.plans import graph, step
from support.simulation import World


@st.composite
def plans(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 7))
    steps: list[dict[str, Any]] = []
    for i in range(count):
        before = [f"s{j}" for j in range(i)]
        made = step(f"s{i}", draw(st.sampled_from(["work", "once", "guarded"])))
        made["depends_on"] = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        shape = draw(st.sampled_from(["plain", "plain", "when", "each", "limited", "wait"]))
        if shape == "when":
            made["when"] = draw(st.booleans())
        elif shape == "each":
            made["for_each"] = list(range(draw(st.integers(0, 3))))
        elif shape == "limited":
            made["for_each"] = {"items": list(range(draw(st.integers(0, 4)))), "max_parallel": 2}
        elif shape == "wait":
            made = {"id": made["id"], "kind": "wait_user", "depends_on": made["depends_on"]}
        if made.get("action") == "work" and before and draw(st.booleans()):
            made["params"] = {"x": f"{{{{{draw(st.sampled_from(before))}}}}}"}
        if draw(st.integers(0, 3)) == 0:
            made["remember"] = {"thread.k": draw(st.sampled_from(["", "n"])) if "action" in made else ""}
        steps.append(made)
    return graph(*steps)


MOVES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=60)
STEERED = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 50)), max_size=60)
"""With a person who pauses, resumes, skips, retries and adds inputs."""


def play(world: World, moves: list[tuple[int, int]]) -> None:
    """Random but possible behaviour of the world, including crashes."""
    for kind, pick in moves:
        running, waiting = world.running(), sorted(world.state.waiting)
        if kind <= 3 and running:
            world.succeed(running[pick % len(running)], n=pick)
        elif kind == 4 and running:
            world.fail(running[pick % len(running)])
        elif kind == 5 and running:
            world.fail(running[pick % len(running)], retryable=True)
        elif kind == 6 and waiting:
            answer_somehow(world, waiting[pick % len(waiting)], pick)
        elif kind == 7:
            world.crash()
        elif kind == 8 and pick == 0:
            world.cancel()
        elif kind == 9:
            world.explain()
        elif kind > 9:
            steer(world, kind, pick)


def steer(world: World, kind: int, pick: int) -> None:
    names = [run.id for run in world.state.by_node] or ["nobody"]
    name = names[pick % len(names)]
    asked: dict[int, Input] = {
        10: PauseRequested(world.tick()),
        11: ResumeRequested(world.tick()),
        12: SkipRequested(world.tick(), name, pick),
        13: RetryRequested(world.tick(), name if pick % 2 else ""),
        14: Merged(world.tick(), f"also {pick}"),
    }
    world.say(asked[kind])
    for effect in world.take(ProposePlan):
        if not effect.joins or pick % 3 == 0:
            world.say(PlanningFailed(world.tick(), Failure("no_playbook", "nothing fits")))
        elif world.state.graph is not None:
            world.say(PlanPatched(world.tick(), added(world.state.graph, f"m{world.now}"), ()))


def added(plan: Graph, name: str) -> Graph:
    """The plan with one step more."""
    made = plan.to_json()["plan"]
    return graph(*made["steps"], step(name))


def answer_somehow(world: World, step_id: str, pick: int) -> None:
    question = world.state.runs[step_id].question
    assert question is not None
    if question.kind == "approval":
        decision = "deny" if pick % 5 == 0 else "approve"
        world.answer(step_id, {"digest": question.digest, "decision": decision}, "decide")
    elif question.kind == "interrupted":
        world.answer(step_id, {"decision": ("retry", "skip", "fail")[pick % 3]})
    else:
        world.answer(step_id, pick)


@given(plans(), STEERED)
def test_replaying_the_events_gives_the_live_state(plan: Graph, moves: list[tuple[int, int]]) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    assert fold(world.events).facts() == world.state.facts()


@given(plans(), STEERED)
def test_every_prefix_of_the_events_can_be_recovered_and_brought_to_an_end(
    plan: Graph, moves: list[tuple[int, int]]
) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    for cut in range(2, len(world.events) + 1):
        resumed = World()
        resumed.events = world.events[:cut]
        resumed.now = world.now
        resumed.crash()
        finish(resumed)
        assert resumed.state.state in FINAL_INTERACTION
        assert all(run.finished for run in resumed.state.runs.values())
        assert fold(resumed.events).facts() == resumed.state.facts()


@given(plans(), MOVES)
def test_a_step_that_succeeded_is_never_started_again(plan: Graph, moves: list[tuple[int, int]]) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    finish(world)
    ended: set[str] = set()
    for event in world.events:
        assert not (event.type == "step.started" and event.step_id in ended)
        if event.type in {"step.succeeded", "step.failed", "step.skipped", "step.cancelled"}:
            assert event.step_id not in ended
            ended.add(event.step_id)


@given(plans(), MOVES)
def test_a_step_that_may_not_be_repeated_is_never_repeated_unasked(plan: Graph, moves: list[tuple[int, int]]) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    finish(world)
    asked: set[str] = set()
    begun: set[str] = set()
    for event in world.events:
        node = world.state.runs[event.step_id].node if event.step_id else None
        if event.type == "step.answered":
            asked.add(event.step_id)
        if event.type == "step.started" and node is not None and not node.idempotent:
            assert event.step_id not in begun or event.step_id in asked
            begun.add(event.step_id)
            asked.discard(event.step_id)


@given(plans(), MOVES)
def test_every_turn_ends_with_exactly_one_answer(plan: Graph, moves: list[tuple[int, int]]) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    finish(world)
    kinds = [event.type for event in world.events]
    assert kinds.count("assistant.output") == 1
    assert kinds[-2] == "assistant.output"
    assert kinds[-1].removeprefix("interaction.") in {"completed", "failed", "cancelled"}


@given(plans(), STEERED, st.integers(0, 30))
def test_a_refusal_changes_nothing_and_asks_for_nothing(plan: Graph, moves: list[tuple[int, int]], pick: int) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    names = [*world.state.runs, "nobody"]
    name = names[pick % len(names)]
    inputs: list[Input] = [
        ActionSucceeded(world.tick(), name, {}),
        ActionFailed(world.tick(), name, Failure("x", "y")),
        SlotsFreed(world.tick()),
    ]
    before = world.state.facts()
    decision = decide(world.state, inputs[pick % 3])
    if decision.refusal is not None:
        assert world.state.facts() == before
        assert not decision.events
        assert not decision.effects


@given(plans(), STEERED)
def test_an_interaction_that_is_not_final_runs_waits_or_is_being_explained(
    plan: Graph, moves: list[tuple[int, int]]
) -> None:
    """Promise 3: nothing stays "running" with nobody running it."""
    world = World()
    world.submit(plan)
    play(world, moves)
    state = world.state
    if state.state is InteractionState.EXECUTING:
        assert state.running or state.retrying or state.explaining
    if state.state is InteractionState.WAITING:
        assert state.waiting or state.explaining


@given(plans(), STEERED)
def test_counters_agree_with_the_steps(plan: Graph, moves: list[tuple[int, int]]) -> None:
    world = World()
    world.submit(plan)
    play(world, moves)
    runs = world.state.runs.values()
    assert world.state.unfinished == sum(run.state not in FINISHED for run in runs)
    assert world.state.running == len(world.running())


def finish(world: World) -> None:
    """A fair world: everything that is asked for is answered."""
    for _ in range(1000):
        if world.state.final:
            return
        if world.state.state is InteractionState.PAUSED:
            world.say(ResumeRequested(world.tick()))
        for _ in world.take(ProposePlan):
            world.say(PlanningFailed(world.tick(), Failure("no_playbook", "nothing fits")))
        for name in sorted(world.state.waiting):
            if name in world.state.waiting:
                answer_somehow(world, name, 1)
        for name in world.running():
            world.succeed(name, n=1)
        world.now += 10_000_000
        for name in sorted(world.state.retrying):
            world.say(TimerFired(world.now, name))
        world.explain()
    raise AssertionError(f"it never ends: {world.state.state}, {world.states()}")


@given(plans(), MOVES)
def test_what_is_remembered_is_written_once_right_behind_the_success_that_has_it(plan: Graph, moves: Any):
    world = World()
    world.submit(plan)
    play(world, moves)
    events = world.events
    remembering = {node.id for node in plan.nodes if node.remember}
    succeeded = [i for i, e in enumerate(events) if e.type == "step.succeeded" and e.step_id in remembering]
    written = [i for i, e in enumerate(events) if e.type == "memory.set"]
    assert written == [i + 1 for i in succeeded]
    assert [events[i].step_id for i in written] == [events[i].step_id for i in succeeded]
