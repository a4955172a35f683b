"""Can a person at the command line answer, decide and steer what a daemon before this one began?"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import Daemon, daemon
from support.lives import GRANTS, GUEST, gate, heard, hold, look, over, put, restart, runs, state_of, step, until

pytestmark = [pytest.mark.slow, pytest.mark.kernel]


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """One for all tests of this file; each kills it."""
    with daemon(GRANTS, started=False) as made:
        made.drop(GUEST)
        made.start()
        yield made


def typed(place: Daemon, *words: str, status: int = 0) -> str:
    """What the client prints."""
    ran = place.orchestral(*words, "--no-start")
    assert ran.returncode == status, (words, ran.stdout, ran.stderr)
    return ran.stdout + ran.stderr


def waiting(place: Daemon, *steps: dict[str, Any]) -> str:
    name = str(put(place, *steps)["interaction_id"])
    assert place.end_of(name)["state"] == "waiting"
    return name


def test_approvals_are_shown_exactly_and_decided(place: Daemon):
    command = {"id": "a", "action": "shell", "params": {"command": "rm", "args": ["-r", "no such; touch x"]}}
    shell, guarded = waiting(place, command), waiting(place, hold(action="guest.guarded", n="exactly this"))
    restart(place)
    shown = typed(place, "approvals")
    assert "rm -r 'no such; touch x'" in shown
    assert "exactly this" in shown
    typed(place, "deny", shell, "--note", "not today")
    assert "No such approval waits" in typed(place, "approve", shell, "--yes", status=2), "it is decided"
    typed(place, "approve", guarded, "--yes")
    restart(place)
    assert over(place, guarded)["state"] == "completed"
    assert "not today" in step(over(place, shell))["error"]["message"]
    assert not (place.workspace / "x").exists()


def test_questions_and_events_are_answered(place: Daemon):
    asked = waiting(place, {"id": "q", "kind": "wait_user"})
    paid = waiting(place, {"id": "w", "kind": "wait_event", "params": {"kind": "paid", "correlation": "7"}})
    restart(place)
    typed(place, "respond", asked, "the", "blue", "one")
    typed(place, "emit", "paid", '{"amount": 12}', "--correlation", "7")
    restart(place)
    assert step(over(place, asked), "q")["output"]["answer"] == "the blue one"
    assert step(over(place, paid), "w")["output"]["payload"] == {"amount": 12}


def test_what_was_interrupted_is_skipped_with_a_value_and_what_hangs_is_paused_and_resumed(place: Daemon):
    cut = str(put(place, hold("a", "cut", "guest.once"), hold("b", n="{{a.n}}"))["interaction_id"])
    paused = str(put(place, {"id": "q", "kind": "wait_user"}, hold("b", n="{{q.answer}}"))["interaction_id"])
    until(lambda: runs(place, cut, "a"))
    place.end_of(paused)
    typed(place, "pause", paused)
    restart(place)
    place.end_of(cut)
    typed(place, "respond", cut, "--skip", "--value", '{"n": "by hand"}')
    typed(place, "respond", paused, "x")
    assert state_of(place, paused) == "paused"
    typed(place, "resume", paused)
    assert step(over(place, cut), "b")["output"]["n"] == "by hand"
    assert step(over(place, paused), "b")["output"]["n"] == "x"


def test_what_failed_is_retried_and_forked_with_a_patch(place: Daemon):
    fails = {"id": "b", "action": "guest.fail", "params": {"unless": "mended", "n": "{{a.n}}"}}
    name = str(put(place, hold("a", n=1), fails)["interaction_id"])
    assert over(place, name)["state"] == "failed"
    restart(place)
    forked = json.loads(typed(place, "fork", name, "--at", "b", "--patch", "b.params.unless=runs.log", "--json"))
    assert over(place, forked["interaction_id"])["state"] == "completed"
    assert "failed" in typed(place, "show", name)
    gate(place, "mended")
    typed(place, "retry", name, "--follow", "--quiet")
    restart(place)
    assert (look(place, name)["state"], runs(place, name, "a")) == ("completed", 1)
    assert runs(place, forked["interaction_id"], "a") == 0


def test_a_thread_takes_inputs_by_its_policy(place: Daemon):
    made = json.loads(typed(place, "threads", "new", "--title", "the move", "--policy", "queue", "--json"))
    thread_id = made["thread_id"]
    one = str(put(place, hold(until="moved"), thread_id=thread_id)["interaction_id"])
    heard(place, "step.started", one)
    typed(place, "threads", "policy", thread_id, "reject")
    restart(place)
    assert "reject" in typed(place, "run", "--thread", thread_id, "say", "hello", status=2)
    typed(place, "threads", "policy", thread_id, "default")
    assert "hello" in typed(place, "run", "--thread", thread_id, "--quiet", "say", "hello"), "the first is interrupted"
    assert over(place, one)["state"] == "cancelled"
    assert "the move" in typed(place, "threads", "show", thread_id)
