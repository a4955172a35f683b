"""Does a plan end the same wherever its journal was cut? Every prefix of every recorded run, without any luck.

A real crash cuts between commits; here every single event is a place to cut, which is more than can happen.
"""

from collections.abc import Callable

import pytest

from orchestrald.core.effects import Explain, ProposePlan, RunAction, SetTimer
from orchestrald.core.events import Event
from orchestrald.core.evolve import fold
from orchestrald.core.graft import graft
from orchestrald.core.graph import Graph
from orchestrald.core.inputs import (
    ActionFailed,
    ActionSucceeded,
    Admitted,
    Explained,
    Input,
    Merged,
    PlanPatched,
    PlanProposed,
    RetryRequested,
    Submitted,
    TimerFired,
)
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import ActionSpec, Failure, Retry
from support.plans import chain, fan_out, graph, layered, step
from support.simulation import World

CATALOG = {
    spec.name: spec
    for spec in (
        ActionSpec("work", idempotent=True, retry=Retry(max=2)),
        ActionSpec("once", retry=Retry(max=0)),
        ActionSpec("guarded", approval="always", retry=Retry(max=0)),
        ActionSpec("list", idempotent=True, retry=Retry(max=0)),
        ActionSpec("flaky", idempotent=True, retry=Retry(max=2)),
        ActionSpec("bad", idempotent=True, retry=Retry(max=0)),
    )
}


def shape(*steps: dict[str, object], **plan: object) -> Graph:
    return graph(*steps, catalog=CATALOG, **plan)


SHAPES = {
    "chain": graph(*chain(8)["steps"], catalog=CATALOG),
    "fan-out": graph(*fan_out(8)["steps"], catalog=CATALOG),
    "layers": graph(*layered(3, 3)["steps"], catalog=CATALOG),
    "references": shape(step("a"), step("b", params={"x": "{{a.id}}"}), step("c", params={"y": "{{b.id}} {{a.id}}"})),
    "retries": shape(step("a", "flaky"), step("b", "flaky", depends_on=["a"]), step("c", "flaky")),
    "failure": shape(step("a"), step("b", "bad", depends_on=["a"]), step("c", depends_on=["b"]), step("d")),
    "for_each": shape(
        step("l", "list"),
        step("e", for_each={"items": "{{l.items}}", "max_parallel": 2}, params={"x": "{{item}}"}),
        step("s", params={"all": "{{e}}"}),
    ),
    "for_each of nothing": shape(step("e", for_each=[], params={"x": "{{item}}"}), step("s", params={"all": "{{e}}"})),
    "for_each that fails": shape(step("e", "bad", for_each=[1, 2, 3]), step("s", params={"all": "{{e}}"})),
    "for_each of flaky ones": shape(step("e", "flaky", for_each={"items": [1, 2, 3], "max_parallel": 1})),
    "conditions": shape(step("a", when=False), step("b", when="{{a}} == null", depends_on=["a"]), step("c", when=True)),
    "waits": shape(
        {"id": "ask", "kind": "wait_user"},
        {"id": "until", "kind": "wait_until", "params": {"for": "1h"}},
        step("a", params={"x": "{{ask.answer}}"}, depends_on=["until"]),
    ),
    "approval": shape(step("a"), step("g", "guarded", params={"x": "{{a.id}}"}), step("b", depends_on=["g"])),
    "not idempotent": shape(step("a", "once"), step("b", "once", depends_on=["a"]), step("e", "once", for_each=[1, 2])),
    "a bit of all": shape(
        step("l", "list"),
        step("e", "flaky", for_each={"items": "{{l.items}}", "max_parallel": 2}),
        {"id": "ask", "kind": "wait_user"},
        step("o", "once", params={"x": "{{ask.answer}}"}),
        step("w", when="{{e[0].id}} == 'nothing'"),
        step("end", depends_on=["e", "o", "w"]),
    ),
}


class Narrow:
    """`core.slots.Slots` of a daemon with little room: so much per interaction, and so much per action."""

    def __init__(self, world: World, total: int, each: int) -> None:
        self.world = world
        self.total = total
        self.each = each

    def has_room(self, running: int) -> bool:
        return running < self.total

    def take(self, action: str) -> bool:
        state = self.world.state
        busy = [r for r in state.runs.values() if r.state == "running" and r.children is None]
        return sum(run.node.action == action for run in busy) < self.each


class Outside:
    """A world whose answers follow from what is asked, and from how many of a step's attempts came to an end."""

    def __init__(self, plan: Graph, *, narrow: bool) -> None:
        self.plan = plan
        self.world = World()
        if narrow:
            self.world.slots = Narrow(self.world, 3, 2)

    def resume(self, events: list[Event], now: int) -> None:
        self.world.events, self.world.now = list(events), now
        self.world.crash()

    def finish(self) -> None:
        """Answer everything, people included, until the interaction is final."""
        for _ in range(1_000):
            if self.world.state.final:
                return
            self.answer_one()
        raise AssertionError(f"it never ends: {self.world.state.state} {self.world.states()}")

    def answer_one(self) -> None:
        """The oldest effect that is not answered yet; when there is none, a person's question."""
        world = self.world
        if not world.asked:
            self.answer_question(min(world.state.waiting))
            return
        effect = world.asked.pop(0)
        if isinstance(effect, RunAction):
            world.say(self.attempt(effect))
        elif isinstance(effect, ProposePlan):
            world.say(self.planned(effect))
        elif isinstance(effect, SetTimer):
            world.now = max(world.now, effect.due_at)
            world.say(TimerFired(world.now, effect.step_id))
        elif isinstance(effect, Explain):
            world.say(Explained(world.tick(), effect.status, "in words"))

    def planned(self, effect: ProposePlan) -> Input:
        """The plan; steps for what failed, called as the failed one was; or a step for an input that joined."""
        at, state = self.world.tick(), self.world.state
        if not (effect.failed or effect.joins) or state.graph is None:
            return PlanProposed(at, self.plan, "caller")
        name = effect.failed or "joined"
        steps = [step(name, params={"x": "{{a.id}}"}), step("after", depends_on=[name])]
        made = graft(state.graph, effect.failed, {"steps": steps}, state.runs, 1)
        return PlanPatched(at, shape(*made.plan["steps"]), made.superseded, "again")

    def answer_question(self, name: str) -> None:
        question = self.world.state.waiting[name].question
        assert question is not None
        if question.kind == "approval":
            self.world.answer(name, {"digest": question.digest, "decision": "approve"}, "decide")
        else:
            self.world.answer(name, {"decision": "retry"} if question.kind == "interrupted" else 42)

    def attempt(self, effect: RunAction) -> Input:
        step_id, at = effect.step_id, self.world.tick()
        failed = sum(event.type == "step.retrying" and event.step_id == step_id for event in self.world.events)
        if effect.action == "bad":
            return ActionFailed(at, step_id, Failure("bad", f"{step_id} never works"), 0.5)
        if effect.action == "flaky" and failed < 2:
            return ActionFailed(at, step_id, Failure("busy", "not yet", retryable=True), 0.5)
        output: dict[str, object] = {"id": step_id, "params": effect.params}
        if effect.action == "list":
            output["items"] = ["x", "y", "z"]
        return ActionSucceeded(at, step_id, output)


def replanned(outside: Outside) -> None:
    plan = shape(step("a"), step("b", "bad", depends_on=["a"]), step("c", depends_on=["b"]), step("d"))
    outside.world.say(Submitted(1, "int_1", "thr_1", "test", "uid:0", graph=plan, new_thread=True, max_replans=1))


def merged(outside: Outside) -> None:
    plan = shape(step("a"), step("b", depends_on=["a"]))
    outside.world.say(Submitted(1, "int_1", "thr_1", "test", "uid:0", graph=plan, new_thread=True))
    outside.world.say(Merged(2, "and this", "uid:0"))


def queued(outside: Outside) -> None:
    plan = shape(step("a"), step("b", depends_on=["a"]))
    outside.world.say(
        Submitted(1, "int_1", "thr_1", "test", graph=plan, new_thread=True, queued="queue", behind=("int_0",))
    )
    outside.world.say(Admitted(2))


def retried(outside: Outside) -> None:
    outside.world.say(Submitted(1, "int_1", "thr_1", "test", graph=SHAPES["failure"], new_thread=True))
    outside.finish()
    outside.world.say(RetryRequested(outside.world.tick(), "", "uid:0"))


def outcome(state: Interaction) -> dict[str, object]:
    """What a user sees at the end. A moment that was waited for is none of it."""
    shown = {
        name: (run.state, None if run.node.kind == "wait_until" else run.output, run.failure, run.reason)
        for name, run in state.runs.items()
    }
    return {"state": state.state, "failure": state.failure, "steps": shown}


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_journal_cut_after_any_event_leads_to_the_same_end(name: str, narrow: bool):
    """`narrow`: others take up most of the daemon after its start, so what was running finds no room at once."""
    whole = Outside(SHAPES[name], narrow=False)
    whole.world.submit(SHAPES[name])
    whole.finish()
    events = whole.world.events
    for cut in range(2, len(events) + 1):  # of a journal that ends after 1, with the thread, nobody expects anything
        resumed = Outside(SHAPES[name], narrow=narrow)
        resumed.resume(events[:cut], whole.world.now)
        resumed.finish()
        assert outcome(resumed.world.state) == outcome(whole.world.state), f"cut after {events[cut - 1]}"
        done = {event.step_id for event in events[:cut] if event.type == "step.succeeded"}
        again = {event.step_id for event in resumed.world.events[cut:] if event.type == "step.started"}
        assert not again & done, f"cut after {events[cut - 1]}"


@pytest.mark.parametrize("begin", [replanned, merged, queued, retried])
def test_a_journal_of_a_plan_that_changed_leads_to_the_same_end_wherever_it_is_cut(begin: Callable[[Outside], None]):
    whole = Outside(SHAPES["chain"], narrow=False)
    begin(whole)
    whole.finish()
    events = whole.world.events
    first = 3 + (begin is queued)  # of a plan that is not in the journal nobody could say what it was
    for cut in range(first, len(events) + 1):
        resumed = Outside(SHAPES["chain"], narrow=False)
        resumed.resume(events[:cut], whole.world.now)
        if resumed.world.state.state == "queued":
            resumed.world.say(Admitted(resumed.world.tick()))
        resumed.finish()
        lost = begin is merged and not any(event.type == "interaction.merged" for event in events[:cut])
        reopened = begin is not retried or any(event.type == "interaction.reopened" for event in events[:cut])
        if not lost and reopened:
            assert outcome(resumed.world.state) == outcome(whole.world.state), f"cut after {events[cut - 1]}"
        assert fold(resumed.world.events).facts() == resumed.world.state.facts()


@pytest.mark.parametrize("every", [3, 4, 5])
@pytest.mark.parametrize("name", SHAPES)
def test_crashes_at_every_few_inputs_lead_to_the_same_end(name: str, every: int):
    """Not one crash but dozens, each before everything that was asked is answered."""
    whole = Outside(SHAPES[name], narrow=True)
    whole.world.submit(SHAPES[name])
    whole.finish()
    tired = Outside(SHAPES[name], narrow=True)
    tired.world.submit(SHAPES[name])
    lives = 0
    while not tired.world.state.final:
        lives += 1
        assert lives < 200, f"it never ends: {tired.world.states()}"
        tired.resume(tired.world.events, tired.world.now)
        for _ in range(every):
            if not tired.world.state.final:
                tired.answer_one()
    assert outcome(tired.world.state) == outcome(whole.world.state)


def test_an_end_differs_when_something_is_lost():
    """The comparison above can fail: a world in which a step succeeded otherwise is another one."""
    first, second = Outside(SHAPES["chain"], narrow=False), Outside(SHAPES["chain"], narrow=False)
    for outside in (first, second):
        outside.world.submit(SHAPES["chain"])
    second.world.asked.clear()
    second.world.succeed("s0", id="another")
    first.finish()
    second.finish()
    assert outcome(first.world.state) != outcome(second.world.state)
