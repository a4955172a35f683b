"""Which spans does a story in the journal make?"""

import hashlib
from typing import Any

from orchestrald.core.effects import RunAction
from orchestrald.core.events import TYPES, Event
from orchestrald.core.inputs import RetryRequested
from orchestrald.telemetry.spans import ENDING, HEEDED, Span, Trace, trace_id
from support.plans import graph, step
from support.simulation import World

ID, THREAD = "int_1", "thr_1"
PRIVATE = "what nobody but the user may read"


def numbered(events: list[Event]) -> list[Event]:
    return [event._replace(seq=seq) for seq, event in enumerate(events, 1)]


def told(events: list[Event]) -> list[Span]:
    """The spans of the whole story, in the order in which they ended."""
    trace = Trace(ID)
    return [span for event in numbered(events) if event.type in HEEDED for span in trace.fold(event)]


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def the(spans: list[Span], name: str) -> Span:
    (span,) = named(spans, name)
    return span


def said(type_: str, at: int = 0, step_id: str = "", **data: Any) -> Event:
    return Event(type_, data, THREAD, ID, step_id, at)


def asked(number: int = 1, at: int = 10, part: str = "round 1", **more: Any) -> Event:
    return said("model.asked", at, part=part, number=number, purpose="plan", model="local/org/m", tokens=9, **more)


def answered(seq: int, at: int = 20, **more: Any) -> Event:
    tokens = {"input": 100, "cached": 60, "output": 7}
    about = {"part": "round 1", "number": 1, "purpose": "plan", "mode": "json_schema", "ms": 10, "text": PRIVATE}
    answer = {"backend": "local", "model": "org/m-2", "finish": "stop", "tokens": tokens}
    return said("model.answered", at, asked=seq, **{**about, **answer, **more})


SUBMITTED = said("interaction.submitted", 1, intent=PRIVATE)
COMPLETED = said("interaction.completed", 99, counts={})


# --- an interaction and its steps ------------------------------------------------------------------------------------


def test_an_interaction_and_its_attempts_are_one_trace():
    world = World()
    world.submit(graph(step("a", "work", params={"message": PRIVATE}), step("b", "once", depends_on=["a"])), PRIVATE)
    world.settle()
    spans = told(world.events)
    assert [span.name for span in spans] == ["execute_tool work", "execute_tool once", "invoke_agent orchestrald"]
    first, second, root = spans
    assert {span.trace_id for span in spans} == {trace_id(ID)}
    assert root.parent_id == 0 and first.parent_id == second.parent_id == root.span_id
    assert root.started_at <= first.started_at < first.ended_at <= second.started_at < second.ended_at <= root.ended_at
    assert root.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "orchestrald",
        "gen_ai.conversation.id": THREAD,
        "orchestrald.interaction.id": ID,
        "orchestrald.outcome": "completed",
    }
    assert first.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "work",
        "orchestrald.step.id": "a",
        "orchestrald.attempt": 1,
        "orchestrald.outcome": "succeeded",
    }
    assert not any(span.error for span in spans)
    assert PRIVATE not in str(spans)


def test_times_are_those_of_the_journal():
    world = World()
    world.submit(graph(step("a", "work")))
    world.tick(5_000)
    world.succeed("a")
    at = {event.type: event.at for event in world.events}
    (attempt,) = told(world.events)
    assert (attempt.started_at, attempt.ended_at) == (at["step.started"], at["step.succeeded"])


def test_a_failure_is_told_by_its_code_and_not_by_its_words():
    world = World()
    world.submit(graph(step("a", "work"), step("b", "work", depends_on=["a"])))
    world.fail("a", code="tool_broke")
    world.explain()
    spans = told(world.events)
    attempt, root = the(spans, "execute_tool work"), the(spans, "invoke_agent orchestrald")
    assert attempt.error == attempt.attributes["error.type"] == "tool_broke"
    assert root.error and root.attributes["error.type"] == root.error
    assert (attempt.attributes["orchestrald.outcome"], root.attributes["orchestrald.outcome"]) == ("failed", "failed")
    assert "it broke" not in str(spans)
    assert len(spans) == 2, "a step that was skipped has not been attempted"


def test_every_attempt_is_a_span_of_its_own():
    world = World()
    world.submit(graph(step("a", "work", retry={"max": 2})))
    world.fail("a", retryable=True, code="busy")
    world.settle()
    attempts = named(told(world.events), "execute_tool work")
    assert [(a.attributes["orchestrald.attempt"], a.attributes["orchestrald.outcome"], a.error) for a in attempts] == [
        (1, "retrying", "busy"),
        (2, "succeeded", ""),
    ]
    assert len({span.span_id for span in attempts}) == 2


def test_the_items_of_a_for_each_are_beneath_it():
    world = World()
    world.submit(graph(step("a", "work", for_each=[1, 2, 3])))
    world.settle()
    spans = told(world.events)
    whole, root = the(spans, "for_each a"), the(spans, "invoke_agent orchestrald")
    items = named(spans, "execute_tool work")
    assert whole.attributes["orchestrald.items"] == 3 and whole.parent_id == root.span_id
    assert {item.attributes["orchestrald.step.id"] for item in items} == {"a[0]", "a[1]", "a[2]"}
    assert {item.parent_id for item in items} == {whole.span_id}


def test_a_step_that_waits_for_a_person_is_an_attempt_only_once_it_runs():
    world = World()
    world.submit(graph(step("a", "guarded")))
    waited = world.now
    assert told(world.events) == []
    question = world.state.runs["a"].question
    assert question is not None
    world.answer("a", {"decision": "approve", "digest": question.digest}, "decide")
    world.settle()
    attempt, _ = told(world.events)
    assert attempt.name == "execute_tool guarded" and attempt.started_at > waited


def test_a_cancelled_one_ended_as_somebody_wished():
    world = World()
    world.submit(graph(step("a", "work")))
    world.take(RunAction)
    world.cancel()
    world.settle()
    spans = told(world.events)
    assert [(span.attributes["orchestrald.outcome"], span.error) for span in spans] == [("cancelled", "")] * 2


def test_what_the_daemon_died_over_is_interrupted_and_goes_on_in_the_same_trace():
    world = World()
    world.submit(graph(step("a", "work"), step("b", "once", depends_on=["a"])))
    world.crash()
    world.settle()
    spans = told(world.events)
    first, second = named(spans, "execute_tool work")
    assert first.attributes["orchestrald.outcome"] == "interrupted" and first.error == "interrupted"
    assert second.error == "" and second.attributes["orchestrald.attempt"] == 2
    assert {span.trace_id for span in spans} == {trace_id(ID)}


def test_a_daemon_that_begins_anywhere_in_the_story_tells_the_rest_of_it_alike():
    world = World()
    world.submit(graph(step("a", "work", retry={"max": 2}), step("b", "work", for_each=[1, 2], depends_on=["a"])))
    world.fail("a", retryable=True)
    world.settle()
    events = [event for event in numbered(world.events) if event.type in HEEDED]
    whole = told(world.events)
    for cut in range(len(events)):
        before, after = Trace(ID), Trace(ID)
        early = [span for event in events[:cut] for span in before.fold(event)]
        for event in events[:cut]:
            after.fold(event)
        assert early + [span for event in events[cut:] for span in after.fold(event)] == whole


def test_what_is_tried_again_after_its_end_is_another_span_of_the_trace():
    world = World()
    world.submit(graph(step("a", "work")))
    world.fail("a")
    world.explain()
    world.say(RetryRequested(world.tick(), by="uid:0"))
    world.settle()
    spans = told(world.events)
    one, two = named(spans, "invoke_agent orchestrald")
    assert one.error and not two.error
    assert two.attributes["orchestrald.reopened"] == 1 and one.span_id != two.span_id
    assert [span.parent_id for span in named(spans, "execute_tool work")] == [one.span_id, two.span_id]


def test_what_began_unseen_ends_unseen_and_what_follows_hangs_in_the_trace():
    spans = told([said("step.succeeded", 5, "a", output=1), said("step.started", 6, "b", attempt=1)])
    assert spans == []
    (attempt,) = told([said("step.started", 6, "b", attempt=1), said("step.succeeded", 7, "b", output=1), COMPLETED])
    assert (attempt.name, attempt.parent_id) == ("execute_tool", 0)


# --- calls to models -------------------------------------------------------------------------------------------------


def test_a_call_to_a_model_says_who_was_asked_what_it_cost_and_nothing_of_what_was_said():
    call, root = told([SUBMITTED, asked(), answered(2, cost=2_500), COMPLETED])
    assert (call.name, call.kind, call.parent_id) == ("chat org/m", "client", root.span_id)
    assert (call.started_at, call.ended_at, call.error) == (10, 20, "")
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "local",
        "gen_ai.request.model": "org/m",
        "gen_ai.response.model": "org/m-2",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.conversation.id": THREAD,
        "orchestrald.purpose": "plan",
        "orchestrald.cost_usd": 0.0025,
        "orchestrald.outcome": "answered",
    }
    assert PRIVATE not in str(call)


def test_a_call_that_failed_has_the_code_of_its_error():
    failed = said("model.failed", 30, asked=2, part="round 1", number=1, error={"code": "x", "message": PRIVATE}, ms=1)
    call, _ = told([SUBMITTED, asked(), failed, COMPLETED])
    assert (call.error, call.attributes["error.type"], call.attributes["orchestrald.outcome"]) == ("x", "x", "failed")
    assert PRIVATE not in str(call)


def test_a_call_that_the_daemon_died_over_ends_when_it_is_made_again():
    first, second, _ = told([SUBMITTED, asked(), asked(at=50), answered(3, at=60), COMPLETED])
    assert (first.error, first.ended_at) == ("interrupted", 50)
    assert (second.error, second.started_at) == ("", 50)


def test_a_call_that_was_given_up_ends_with_its_interaction():
    late = answered(2, at=80)  # paid for, so it is written down all the same
    call, root = told([SUBMITTED, asked(), said("interaction.cancelled", 70, counts={}), late])
    assert (call.error, call.attributes["orchestrald.outcome"], call.ended_at) == ("", "cancelled", root.ended_at)
    call, _ = told([SUBMITTED, asked(), COMPLETED])
    assert call.error == "interrupted"


def test_a_call_to_a_server_with_one_model_has_no_name_for_it_before_it_answers():
    call, _ = told([SUBMITTED, asked()._replace(data=asked().data | {"model": "local"}), answered(2), COMPLETED])
    assert call.name == "chat" and "gen_ai.request.model" not in call.attributes
    assert call.attributes["gen_ai.response.model"] == "org/m-2"


# --- ids -------------------------------------------------------------------------------------------------------------


def test_the_trace_of_an_interaction_can_be_worked_out_by_hand():
    assert f"{trace_id(ID):032x}" == hashlib.sha256(ID.encode()).hexdigest()[:32]


def test_only_events_that_exist_are_heeded():
    assert TYPES.keys() >= set(HEEDED) and set(HEEDED) >= ENDING
