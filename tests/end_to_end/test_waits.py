"""Does each kind of wait come to its end through the socket, when the daemon is killed while it waits?"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrald.client import Refused
from support.daemon import Daemon
from support.lives import (
    gate,
    heard,
    hold,
    let_pass,
    look,
    many_lives,
    over,
    put,
    restart,
    runs,
    state_of,
    states,
    step,
    until,
)

pytestmark = pytest.mark.slow

ME = f"uid:{os.getuid()}"
STATE = 'page 3 "\\ \n\t\u0000 Grüße \U0001f98a'
"""A plugin's own; whatever is in it comes back as it was."""


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """One for all tests of this file; each kills it."""
    with many_lives() as made:
        made.start()
        yield made


def echo(message: str, id_: str = "b") -> dict[str, Any]:
    """A step that says it as a text, also a number."""
    return {"id": id_, "action": "echo", "params": {"message": f"{message}."}}


def waiting(place: Daemon, *steps: dict[str, Any], **about: Any) -> dict[str, Any]:
    """An interaction that waits; its snapshot."""
    shown = place.end_of(put(place, *steps, **about)["interaction_id"])
    assert shown["state"] == "waiting", shown
    return shown


def started_at(place: Daemon) -> int:
    return int(place.call("system.info")["started_at"])


# --- wait_user --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["interaction.respond", "a plain submit"])
def test_a_question_to_the_user_is_answered_after_a_kill(place: Daemon, how: str):
    asked = waiting(place, {"id": "q", "kind": "wait_user", "params": {"prompt": "colour?"}}, echo("{{q.answer}}"))
    restart(place)
    shown = look(place, asked["interaction_id"])
    assert shown == asked, "the same question, to the letter"
    if how == "a plain submit":
        body = {"intent": "blue", "thread_id": asked["thread_id"], "request_id": f"r-{asked['interaction_id']}"}
        answer = place.call("interaction.submit", **body)
        assert (answer["disposition"], answer["step_id"]) == ("answered", "q")
        repeat = ("interaction.submit", body)
    else:
        body = {"interaction_id": asked["interaction_id"], "payload": "blue", "request_id": f"r-{asked['thread_id']}"}
        answer = place.call("interaction.respond", **body)
        assert answer["step_id"] == "q"
        repeat = ("interaction.respond", body)
    restart(place)
    ended = over(place, asked["interaction_id"])
    assert step(ended, "q")["output"] == {"answer": "blue", "by": ME}
    assert step(ended, "b")["output"]["result"] == "blue."
    assert place.call(repeat[0], **repeat[1]) == answer | {"replayed": True}
    assert len(place.call("interaction.list", thread_id=asked["thread_id"])["interactions"]) == 1


def test_an_answer_of_the_wrong_shape_is_refused_and_the_question_stays_over_a_kill(place: Daemon):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = waiting(place, {"id": "q", "kind": "wait_user", "params": {"schema": schema}})
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            place.call("interaction.respond", interaction_id=asked["interaction_id"], payload={"n": "three"})
        assert refused.value.kind == "invalid_params"
        restart(place)
    place.call("interaction.respond", interaction_id=asked["interaction_id"], payload={"n": 3})
    assert over(place, asked["interaction_id"])["state"] == "completed"


# --- wait_event -------------------------------------------------------------------------------------------------------


def awaits(kind: str, **params: Any) -> dict[str, Any]:
    return {"id": "w", "kind": "wait_event", "params": {"kind": kind, **params}}


def test_an_event_that_comes_before_its_wait_is_kept_over_a_kill_and_taken_once(place: Daemon):
    said = place.call("event.emit", kind="early", payload={"n": 5}, request_id="early-1")
    restart(place)
    assert place.call("event.emit", kind="early", payload={"n": 5}, request_id="early-1") == said | {"replayed": True}
    one, two = (put(place, awaits("early"), echo("{{w.payload.n}}"))["interaction_id"] for _ in range(2))
    assert step(over(place, one), "b")["output"]["result"] == "5."
    restart(place)
    assert place.end_of(two)["state"] == "waiting"
    place.call("event.emit", kind="early", payload={"n": 6})
    assert step(over(place, two), "b")["output"]["result"] == "6."


def test_an_event_that_was_acknowledged_and_then_killed_arrives_once(place: Daemon):
    names = [
        waiting(place, awaits("cut", correlation=str(n)), echo("{{w.payload}}"))["interaction_id"] for n in range(2)
    ]
    for n, name in enumerate(names):
        place.call("event.emit", kind="cut", correlation=str(n), payload=n)
        restart(place)
        assert step(over(place, name), "b")["output"]["result"] == f"{n}."
    assert [len(heard(place, "step.succeeded", name, step_id="w")) for name in names] == [1] * 2


def test_only_the_event_with_the_right_correlation_and_thread_is_taken_after_a_kill(place: Daemon):
    asked = waiting(place, awaits("paid", correlation="order-7"))
    other = waiting(place, awaits("paid", correlation="order-8"))
    restart(place)
    place.call("event.emit", kind="paid", correlation="order-9", payload=9)
    place.call("event.emit", kind="paid", payload=0)
    place.call("event.emit", kind="paid", correlation="order-7", thread_id=other["thread_id"], payload=-7)
    place.call("event.emit", kind="paid", correlation="order-7", thread_id=asked["thread_id"], payload=7)
    assert step(over(place, asked["interaction_id"]), "w")["output"] == {"kind": "paid", "payload": 7}
    assert state_of(place, other["interaction_id"]) == "waiting"
    place.call("interaction.cancel", interaction_id=other["interaction_id"])


def test_a_deadline_that_passes_while_the_daemon_is_down_is_noticed_when_it_is_up(place: Daemon):
    asked = waiting(place, {**awaits("never"), "timeout": "400ms"}, echo("{{w.payload}}"))
    place.kill()
    due_at = step(asked, "w")["due_at"]
    let_pass(due_at)
    place.start()
    assert started_at(place) > due_at
    ended = over(place, asked["interaction_id"])
    assert (ended["state"], step(ended, "w")["error"]["code"]) == ("failed", "timeout")
    assert states(ended) == {"w": "failed", "b": "skipped"}
    assert place.events(interaction_id=asked["interaction_id"], types=["step.failed"])[0]["at"] > due_at


# --- wait_until -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["for", "at"])
def test_a_moment_that_passes_while_the_daemon_is_down_is_not_missed(place: Daemon, form: str):
    moment = time.time() + 0.4
    params = {"for": "400ms"} if form == "for" else {"at": datetime.fromtimestamp(moment, UTC).isoformat()}
    name = put(place, {"id": "w", "kind": "wait_until", "params": params}, echo("{{w.at}}"))["interaction_id"]
    due_at = settled_wait(place, name)
    place.kill()
    let_pass(due_at)
    place.start()
    ended = over(place, name)
    assert ended["state"] == "completed"
    assert step(ended, "w")["output"]["at"] >= due_at
    assert len(heard(place, "step.succeeded", name, step_id="w")) == 1


def settled_wait(place: Daemon, name: str) -> int:
    """The moment that it waits for."""
    heard(place, "step.waiting", name)
    return int(step(look(place, name), "w")["due_at"])


def test_a_moment_that_has_not_come_when_the_daemon_is_up_again_is_still_waited_for(place: Daemon):
    for patience in ("1s", "4s", "16s"):  # longer, where a busy machine takes its time to start it
        name = put(place, {"id": "w", "kind": "wait_until", "params": {"for": patience}})["interaction_id"]
        due_at = settled_wait(place, name)
        restart(place)
        if in_time := started_at(place) < due_at:
            break
    assert in_time
    assert step(over(place, name), "w")["output"]["at"] >= due_at


# --- what a plugin asks -----------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_a_plugin_is_answered_and_approved_after_kills_and_finds_its_state_byte_for_byte(place: Daemon):
    asked = waiting(place, {"id": "a", "action": "guest.ask", "params": {"state": STATE}})
    question = step(asked)["question"]
    assert (question["kind"], question["prompt"]) == ("clarification", "which year?")
    assert "state" not in question, "a plugin's state is nobody else's business"
    restart(place)
    place.call("interaction.respond", interaction_id=asked["interaction_id"], payload=1999)
    heard(place, "step.waiting", asked["interaction_id"], count=2)
    restart(place)
    (approval,) = place.call("approval.list")["approvals"]
    assert (approval["interaction_id"], approval["command"]) == (asked["interaction_id"], "rm -r build")
    restart(place)
    named = {"interaction_id": asked["interaction_id"], "step_id": "a", "digest": approval["digest"]}
    place.call("approval.decide", **named, decision="approve")
    restart(place)
    told = step(over(place, asked["interaction_id"]))["output"]
    assert told["answers"] == 1999
    assert told["state"] == STATE + STATE
    assert (told["approval"]["by"], told["approval"]["decision"]) == (ME, "approved")


# --- what was interrupted ---------------------------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("answer", "ended", "times"),
    [
        ({"decision": "retry"}, {"a": "succeeded", "b": "succeeded"}, 2),
        ({"decision": "skip", "value": {"n": "given"}}, {"a": "skipped", "b": "succeeded"}, 1),
        ({"decision": "fail"}, {"a": "failed", "b": "skipped"}, 1),
    ],
    ids=["retry", "skip", "fail"],
)
def test_what_may_not_be_repeated_waits_for_a_decision_which_survives_a_kill(
    place: Daemon, answer: dict[str, Any], ended: dict[str, str], times: int
):
    gate_ = "interrupted-" + answer["decision"]
    name = put(place, hold("a", gate_, "guest.once", "run"), echo("{{a.n}}"))["interaction_id"]
    until(lambda: runs(place, name, "a"))
    restart(place)
    asked = place.end_of(name)
    assert step(asked)["question"]["kind"] == "interrupted"
    assert runs(place, name, "a") == 1, "never repeated unasked"
    gate(place, gate_)
    place.call("interaction.respond", interaction_id=name, payload=answer)
    restart(place)
    shown = place.end_of(name)
    if shown["state"] == "waiting":  # the second run was killed too, before it had ended
        assert answer["decision"] == "retry"
        times += 1
        place.call("interaction.respond", interaction_id=name, payload=answer)
        shown = over(place, name)
    assert states(shown) == ended
    assert runs(place, name, "a") <= times
    if ended["b"] == "succeeded":
        assert step(shown, "b")["output"]["result"] == answer.get("value", {"n": "run"})["n"] + "."


# --- paused -----------------------------------------------------------------------------------------------------------


def test_what_is_paused_stays_so_over_a_kill_while_its_waits_can_be_answered(place: Daemon):
    asked = waiting(place, {"id": "q", "kind": "wait_user"}, echo("{{q.answer}}"))
    name = asked["interaction_id"]
    place.call("interaction.pause", interaction_id=name)
    restart(place)
    assert state_of(place, name) == "paused"
    place.call("interaction.respond", interaction_id=name, payload="red")
    restart(place)
    shown = look(place, name)
    assert (shown["state"], states(shown)) == ("paused", {"q": "succeeded", "b": "pending"})
    place.call("interaction.resume", interaction_id=name)
    restart(place)
    assert step(over(place, name), "b")["output"]["result"] == "red."


def test_an_event_reaches_a_paused_interaction_and_nothing_starts(place: Daemon):
    asked = waiting(place, awaits("meanwhile"), echo("{{w.payload}}"))
    name = asked["interaction_id"]
    place.call("interaction.pause", interaction_id=name)
    place.call("event.emit", kind="meanwhile", payload="p")
    restart(place)
    heard(place, "step.succeeded", name)
    shown = look(place, name)
    assert (shown["state"], states(shown)) == ("paused", {"w": "succeeded", "b": "pending"})
    place.call("interaction.resume", interaction_id=name)
    assert step(over(place, name), "b")["output"]["result"] == "p."


# --- all at once ------------------------------------------------------------------------------------------------------


def test_a_hundred_waits_of_all_kinds_are_there_after_a_kill(place: Daemon):
    kinds: list[dict[str, Any]] = [
        {"id": "w", "kind": "wait_user"},
        awaits("hundred"),
        {"id": "w", "kind": "wait_until", "params": {"for": "1h"}},
    ]
    names = [put(place, kinds[n % 3])["interaction_id"] for n in range(99)]
    for name in names:
        heard(place, "step.waiting", name)
    restart(place)
    for name in names[0::3]:
        place.call("interaction.respond", interaction_id=name, payload="x")
    for _ in names[1::3]:
        place.call("event.emit", kind="hundred")
    for name in names[2::3]:
        place.call("interaction.skip", interaction_id=name, step_id="w", value={"at": 0})
    assert {over(place, name)["state"] for name in names} == {"completed"}
