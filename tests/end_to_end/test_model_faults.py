"""Does each fault of a model's server end in a repaired plan or a clear sentence, and no interaction stay open?"""

from collections.abc import Iterator
from typing import Any

import pytest

from support.chat_server import (
    Answer,
    ChatServer,
    Hang,
    Reset,
    cut,
    html,
    no_usage,
    not_json,
    null_content,
    refusal,
    say,
    sends,
    status,
    truncated,
)
from support.daemon import Daemon
from support.planned import planned, told, wants

pytestmark = [pytest.mark.slow, pytest.mark.kernel]

GOOD = {
    "type": "MINI_PLAN",
    "goal": "greet",
    "steps": [{"id": "hi", "action": "echo", "params": {"message": "hello"}}],
    "on_complete": "It said {{hi.result}}.",
}
CYCLE = {
    **GOOD,
    "steps": [
        {"id": "a", "action": "echo", "params": {"message": "{{b.result}}"}},
        {"id": "b", "action": "echo", "params": {"message": "{{a.result}}"}},
    ],
}
UNKNOWN = {**GOOD, "steps": [{"id": "a", "action": "ehco", "params": {"message": "x"}}]}
MANY = {**GOOD, "steps": [{"id": "a b", "action": "nope"}, {"id": "c", "action": "echo", "params": {"massage": 1}}]}

REPAIRED: dict[str, tuple[Answer, str]] = {
    "empty text": (say(""), "empty"),
    "null content": (null_content(), "empty"),
    "words and no JSON": (say("Sure! I will greet them."), "no JSON object"),
    "JSON that is cut off": (say('{"type": "MINI_PLAN", "goal": "x"'), "ends"),
    "a list": (say([GOOD]), "is a list"),
    "another contract": (say({"tool": "echo", "arguments": {}}), "type"),
    "an unknown action": (say(UNKNOWN), "ehco"),
    "a cycle": (say(CYCLE), "wait for each other"),
    "truncated": (truncated('{"type": "MINI_PLAN", "goal": "a very long'), "cut off"),
    "many faults at once": (say(MANY), "massage"),
}
"""A faulty answer, and a word of what goes back to the model: the second answer is good."""

TOLD: dict[str, tuple[list[Answer], str]] = {
    "500": ([status(500, "out of order")], "HTTP 500"),
    "429": ([status(429, "slow down")], "429"),
    "429 with Retry-After": ([status(429, "slow down", retry_after=3600)], "429"),
    "no money left": ([status(429, "pay first", error="insufficient_quota")], "pay first"),
    "401": ([status(401, "bad key")], "bad key"),
    "404": ([status(404, "no such model")], "no such model"),
    "a reset connection": ([Reset()], "connection"),
    "a cut body": ([cut("half of it")], "fake/fake"),
    "HTML": ([html()], "web page"),
    "not JSON": ([not_json()], "JSON"),
    "no completion": ([sends({"ok": True})], "fake/fake"),
    "a refusal": ([refusal("I would rather not.")], "I would rather not."),
    "nothing but faults": ([say("no"), say("no"), say("no")], "no JSON object"),
    "nothing but a cycle": ([say(CYCLE)] * 3, "wait for each other"),
    "a silent server": ([Hang()], "within 2 s"),
}
"""Answers, and a word of what the user is told."""


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Daemon, ChatServer]]:
    """One for all: none of this may leave a trace in the next."""
    with planned(more="interpreter: {mode: rules}") as (made, server):
        made.configure(made_impatient(server))
        made.call("system.reload")
        yield made, server


def made_impatient(server: ChatServer) -> str:
    return f"""
providers:
  backends: [{{name: fake, base_url: "{server.base_url}", timeout: 2s, retries: 0}}]
  default_model: fake
interpreter: {{mode: rules}}
"""


@pytest.mark.parametrize("fault", REPAIRED)
def test_a_faulty_answer_goes_back_and_is_mended(place: tuple[Daemon, ChatServer], fault: str) -> None:
    daemon, server = place
    faulty, word = REPAIRED[fault]
    server.answer_with([faulty, say(GOOD)])
    shown = daemon.end_of(wants(daemon, f"do something about {fault}"))
    assert (shown["state"], shown["answer"]) == ("completed", "It said hello.")
    assert word.lower() in told(server.questions[-1].json).lower()


@pytest.mark.parametrize("fault", TOLD)
def test_what_cannot_be_mended_is_told_in_words(place: tuple[Daemon, ChatServer], fault: str) -> None:
    daemon, server = place
    answers, word = TOLD[fault]
    server.answer_with(answers)
    shown = daemon.end_of(wants(daemon, f"do something about {fault}"))
    assert shown["state"] == "failed"
    assert word.lower() in shown["answer"].lower()
    assert "Traceback" not in shown["answer"]
    assert "bug in orchestrald" not in shown["answer"]


@pytest.mark.parametrize(
    "answer",
    [say(GOOD, model="another-model-2026"), no_usage(GOOD), say({**GOOD, "why": None})],
    ids=["id", "usage", "null"],
)
def test_what_is_only_unusual_is_taken(place: tuple[Daemon, ChatServer], answer: Answer) -> None:
    daemon, server = place
    server.answer_with([answer])
    shown = daemon.end_of(wants(daemon, "do something"))
    assert (shown["state"], shown["answer"]) == ("completed", "It said hello.")
    assert shown["spent"]["calls"] == 1


def test_all_faults_of_a_plan_go_back_at_once(place: tuple[Daemon, ChatServer]) -> None:
    daemon, server = place
    server.answer_with([say(MANY), say(GOOD)])
    daemon.end_of(wants(daemon, "do something with many faults"))
    complaint = told(server.questions[-1].json)
    assert [word for word in ("a b", "nope", "massage", "message") if word not in complaint] == []


def test_nothing_of_all_this_is_open_and_the_daemon_is_well(place: tuple[Daemon, ChatServer]) -> None:
    daemon, server = place
    assert daemon.call("interaction.list", state=["planning", "executing", "queued", "waiting"])["interactions"] == []
    server.answer_with([say(GOOD)])
    assert daemon.end_of(wants(daemon, "one more"))["state"] == "completed"


@pytest.mark.parametrize("mode", ["json_object_schema", "plain"])
def test_it_gets_along_with_a_server_of_any_ability(mode: str) -> None:
    """The others are refused, with 500 as llama-cpp-python does it; the probe is made once, and kept over a restart.
    tests/models has the other modes."""
    known = set() if mode == "plain" else {mode}
    with planned(lambda _asked: say(GOOD), supports=known, refuses=dict.fromkeys(MODES, 500)) as (daemon, server):
        first: dict[str, Any] = daemon.end_of(wants(daemon))
        assert (first["state"], first["answer"]) == ("completed", "It said hello.")
        probes = len(server.probes)
        daemon.kill()
        daemon.start()
        assert daemon.end_of(wants(daemon))["state"] == "completed"
        assert len(server.probes) == probes > 0
        assert {asked.mode for asked in server.questions} == {mode}


MODES = ("json_schema", "json_object_schema", "json_object", "tool")
