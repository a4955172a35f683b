"""Do a person's decisions, answers and further wishes reach the next round of a model, over a kill of the daemon?"""

from collections.abc import Iterator
from typing import Any

import pytest

from support.chat_server import Answer, ChatServer, say
from support.daemon import Daemon
from support.lives import gate, heard, hold, look, over, restart, settled
from support.planned import planned, told, wants

pytestmark = [pytest.mark.slow, pytest.mark.kernel]

ASKS = "approvals: {rules: [{ask: file_write}]}\ninterpreter: {mode: rules}"
WRITE = {"type": "SINGLE_ACTION", "action": "file_write", "params": {"path": "a.txt", "content": "x"}}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Daemon, ChatServer]]:
    with planned(more=ASKS) as (made, server):
        yield made, server


def waiting(place: Daemon, name: str) -> dict[str, Any]:
    return settled(place, name, lambda shown: shown["state"] == "waiting")


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_decision(place: tuple[Daemon, ChatServer], decision: str) -> None:
    daemon, server = place
    (daemon.workspace / "a.txt").unlink(missing_ok=True)
    server.answer_with([say(WRITE), say({"type": "DONE", "message": f"I saw it: {decision}."})])
    name = wants(daemon)
    waiting(daemon, name)
    restart(daemon)
    (asked,) = daemon.call("approval.list")["approvals"]
    named = {key: asked[key] for key in ("interaction_id", "step_id", "digest")}
    daemon.call("approval.decide", **named, decision=decision, note="not today" if decision == "deny" else "")
    shown = over(daemon, name)
    assert shown["answer"].startswith(f"I saw it: {decision}.")
    seen = told(server.questions[-1].json)
    assert ("denied" in seen) == (decision == "deny")
    assert ("not today" in seen) == (decision == "deny")
    assert (daemon.workspace / "a.txt").exists() == (decision == "approve")


def test_an_answer_to_its_question(place: tuple[Daemon, ChatServer]) -> None:
    daemon, server = place
    ask = {"type": "NEED_INPUT", "question": "Which one?", "choices": ["red", "blue"]}
    server.answer_with([say(ask), say({"type": "DONE", "message": "It is {{ask.answer}}."})])
    name = wants(daemon)
    assert waiting(daemon, name)["steps"][0]["question"]["prompt"] == "Which one?"
    restart(daemon)
    daemon.call("interaction.respond", interaction_id=name, payload="blue")
    assert over(daemon, name)["answer"] == "It is blue."
    assert '"answer":"blue"' in told(server.questions[-1].json)


def test_what_joins_while_it_runs(place: tuple[Daemon, ChatServer]) -> None:
    """The round after it is told of both, and one answer speaks of both."""
    daemon, server = place

    def answer(asked: dict[str, Any]) -> Answer:
        if "paint it green" in told(asked):
            return say({"type": "DONE", "message": "Held, and painted."})
        return say({"type": "MINI_PLAN", "goal": "hold", "steps": [hold("h", "gate")]})

    server.answer_with(answer)
    thread = daemon.call("thread.create", policy="merge_into_running")["thread_id"]
    name = wants(daemon, "hold it", thread_id=thread)
    heard(daemon, "step.started", name)
    assert wants(daemon, "paint it green", thread_id=thread) == name
    restart(daemon)
    gate(daemon, "gate")
    assert over(daemon, name)["answer"] == "Held, and painted."
    assert "hold it" in told(server.questions[-1].json)
    assert look(daemon, name)["state"] == "completed"
