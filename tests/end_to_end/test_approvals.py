"""Who is asked before what runs, through the socket and with kills between asking, deciding and starting?"""

import base64
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import ClientError, Refused
from support.daemon import PATIENCE_S, Daemon
from support.lives import (
    GRANTS,
    HOSTILE,
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
    step,
)

pytestmark = [pytest.mark.slow, pytest.mark.kernel]

ME = f"uid:{os.getuid()}"
RULES = """
approvals:
  rules:
    - {allow: guest.hold, params: {n: "*"}}
    - {ask: "guest.h*", params: {n: "*secret*"}, reason: somebody should look}
    - {deny: "guest.*", params: {n: "*root*"}, reason: nothing as root}
    - {allow: guest.guarded, params: {n: fine}, reason: this one is fine}
"""
ASK = {"id": "a", "action": "guest.guarded", "params": {"n": 1}}


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """One for all tests of this file; each kills it, and may give it another configuration."""
    with many_lives() as made:
        made.drop(HOSTILE)
        made.start()
        yield made


def under(place: Daemon, config: str) -> None:
    """Have these words of the operator in force, without a restart."""
    place.configure(config)
    assert place.call("system.reload")["config"] in {"ok", "unchanged"}


def asked_about(place: Daemon, *steps: dict[str, Any], **about: Any) -> dict[str, Any]:
    """Submit it, and what approval.list shows of it."""
    name = put(place, *steps, **about)["interaction_id"]
    assert place.end_of(name)["state"] == "waiting"
    return listed(place, name)


def listed(place: Daemon, interaction_id: str) -> dict[str, Any]:
    approvals = place.call("approval.list")["approvals"]
    found: dict[str, Any] = next(each for each in approvals if each["interaction_id"] == interaction_id)
    return found


def decide(place: Daemon, approval: dict[str, Any], decision: str = "approve", **more: Any) -> dict[str, Any]:
    named = {key: approval[key] for key in ("interaction_id", "step_id", "digest")}
    answer: dict[str, Any] = place.call("approval.decide", **named, decision=decision, **more)
    return answer


# --- rules ------------------------------------------------------------------------------------------------------------


def test_deny_wins_over_ask_and_ask_over_allow_before_and_after_a_kill(place: Daemon):
    under(place, GRANTS + RULES)
    allowed = over(place, put(place, hold(n="public"))["interaction_id"])
    assert allowed["state"] == "completed"
    denied = over(place, put(place, hold(n="secret of root"))["interaction_id"])
    assert (denied["state"], step(denied)["error"]["code"]) == ("failed", "denied")
    assert "nothing as root" in denied["answer"]
    approval = asked_about(place, hold(n="a secret"))
    assert approval["reason"] == "somebody should look"
    assert (approval["action"], approval["params"]["n"]) == ("guest.hold", "a secret")
    restart(place)
    assert listed(place, approval["interaction_id"]) == approval
    assert runs(place, approval["interaction_id"], "a") == 0
    decide(place, approval)
    restart(place)
    assert over(place, approval["interaction_id"])["state"] == "completed"
    assert runs(place, denied["interaction_id"], "a") == 0


def test_a_rule_that_denies_since_the_restart_holds_for_what_was_approved_before(place: Daemon):
    under(place, GRANTS + RULES)
    approval = asked_about(place, hold(n="a secret recipe"))
    place.call("interaction.pause", interaction_id=approval["interaction_id"])
    decide(place, approval)
    restart(place, GRANTS + RULES.replace("*root*", "*recipe*"))
    place.call("interaction.resume", interaction_id=approval["interaction_id"])
    ended = over(place, approval["interaction_id"])
    assert (ended["state"], step(ended)["error"]["code"]) == ("failed", "denied")
    assert runs(place, approval["interaction_id"], "a") == 0


def test_an_allow_rule_is_a_yes_beforehand_to_exactly_what_it_names(place: Daemon):
    under(place, GRANTS + RULES)
    fine = put(place, {"id": "a", "action": "guest.guarded", "params": {"n": "fine"}})["interaction_id"]
    assert over(place, fine)["state"] == "completed"
    approval = asked_about(place, {"id": "a", "action": "guest.guarded", "params": {"n": "other"}})
    restart(place)
    assert place.end_of(approval["interaction_id"])["state"] == "waiting"
    place.call("interaction.cancel", interaction_id=approval["interaction_id"])


@pytest.mark.parametrize(("decision", "state"), [("approve", "completed"), ("deny", "failed")])
def test_what_always_asks_is_decided_after_a_kill_and_says_who_did(place: Daemon, decision: str, state: str):
    under(place, GRANTS)
    approval = asked_about(place, ASK)
    restart(place)
    decide(place, approval, decision, note="because")
    restart(place)
    ended = over(place, approval["interaction_id"])
    assert (ended["state"], runs(place, ended["interaction_id"], "a") > 0) == (state, decision == "approve")
    if decision == "approve":
        (answered,) = heard(place, "step.answered", ended["interaction_id"])
        assert answered["data"]["by"] == ME
        assert (answered["data"]["answer"]["decision"], answered["data"]["answer"]["by"]) == ("approved", ME)
    else:
        assert step(ended)["error"]["details"] == {"by": ME}
        assert "because" in step(ended)["error"]["message"]


def test_an_action_that_destroys_asks_where_the_operator_wants_it_and_no_parameter_is_a_yes(place: Daemon):
    under(place, GRANTS + "approvals: {auto: destructive}\n")
    assert over(place, put(place, hold())["interaction_id"])["state"] == "completed"
    params = {"approved": True, "approval": "approve", "decision": "approve"}
    approval = asked_about(place, {"id": "a", "action": "guest.wreck", "params": params})
    assert approval["params"] | params == approval["params"], "it is shown with every word"
    restart(place)
    assert runs(place, approval["interaction_id"], "a") == 0
    decide(place, approval)
    assert over(place, approval["interaction_id"])["state"] == "completed"


def test_everything_asks_where_the_operator_wants_it_but_what_never_does(place: Daemon):
    under(place, GRANTS + "approvals: {auto: always}\n")
    (place.workspace / "fine").touch()
    never = put(place, {"id": "a", "action": "guest.fail", "params": {"unless": "fine"}})
    assert over(place, never["interaction_id"])["state"] == "completed"
    approval = asked_about(place, hold())
    restart(place, GRANTS)
    decide(place, approval)
    assert over(place, approval["interaction_id"])["state"] == "completed", "asked under the rules of that time"


# --- nobody answers, nobody is there ----------------------------------------------------------------------------------


def test_a_question_that_expires_while_the_daemon_is_down_is_denied_when_it_is_up(place: Daemon):
    under(place, GRANTS + "approvals: {expires: 500ms}\n")
    approval = asked_about(place, ASK)
    place.kill()
    let_pass(approval["expires_at"])
    place.start()
    ended = over(place, approval["interaction_id"])
    assert (step(ended)["error"]["code"], ended["state"]) == ("denied", "failed")
    assert "expired" in step(ended)["error"]["message"]
    assert place.call("approval.list")["approvals"] == []
    with pytest.raises(Refused) as refused:
        decide(place, approval)
    assert refused.value.kind == "wrong_state"
    assert runs(place, approval["interaction_id"], "a") == 0


@pytest.mark.parametrize("word", ["deny", "queue"])
def test_when_nobody_attends_the_question_is_denied_or_waits_as_configured(place: Daemon, word: str):
    under(place, GRANTS + f"approvals: {{unattended: {word}}}\n")
    plugin_asks = {"id": "a", "action": "guest.ask", "params": {"state": "s", "clarify": False}}
    alone = [put(place, steps, unattended=True)["interaction_id"] for steps in (ASK, plugin_asks)]
    attended = asked_about(place, ASK)
    expected = {"deny": "failed", "queue": "waiting"}[word]
    assert [place.end_of(each)["state"] for each in alone] == [expected] * 2
    restart(place)
    assert [state_of(place, each) for each in alone] == [expected] * 2
    if word == "deny":
        assert {step(look(place, each))["error"]["code"] for each in alone} == {"denied"}
    else:
        for each in alone:
            decide(place, listed(place, each))
            assert over(place, each)["state"] == "completed"
    decide(place, attended)
    assert over(place, attended["interaction_id"])["state"] == "completed"


# --- what a yes is bound to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["policy", "plugin"])
def test_a_yes_is_void_when_something_else_would_run_than_was_approved(place: Daemon, what: str):
    under(place, GRANTS)
    approval = asked_about(place, ASK)
    place.call("interaction.pause", interaction_id=approval["interaction_id"])
    decide(place, approval)
    place.kill()
    if what == "policy":
        place.configure(
            GRANTS.replace("guest: {mode: workspace_write}", "guest: {mode: workspace_write, network: host}")
        )
    else:
        program = Path(place.paths.plugins_dir) / "guest" / "main.py"
        program.write_text(program.read_text("utf-8") + "# and one thing more\n", encoding="utf-8")
    place.start()
    place.call("interaction.resume", interaction_id=approval["interaction_id"])
    assert place.end_of(approval["interaction_id"])["state"] == "waiting"
    again = listed(place, approval["interaction_id"])
    assert "not what was approved" in again["reason"]
    assert (runs(place, again["interaction_id"], "a"), again["digest"] != approval["digest"]) == (0, True)
    with pytest.raises(Refused) as refused:
        decide(place, approval)
    assert refused.value.kind == "conflict"
    decide(place, again)
    assert over(place, again["interaction_id"])["state"] == "completed"


def test_a_yes_holds_over_a_kill_where_nothing_has_changed(place: Daemon):
    under(place, GRANTS)
    approval = asked_about(place, ASK)
    place.call("interaction.pause", interaction_id=approval["interaction_id"])
    decide(place, approval)
    restart(place)
    place.call("interaction.resume", interaction_id=approval["interaction_id"])
    assert over(place, approval["interaction_id"])["state"] == "completed"
    assert len(heard(place, "step.waiting", approval["interaction_id"])) == 1


# --- the shell --------------------------------------------------------------------------------------------------------


def test_the_shell_asks_before_it_destroys_and_shows_the_exact_command(place: Daemon):
    under(place, GRANTS + "  settings: {shell: {sandbox_mode: workspace_write, allow_shell_expression: true}}\n")
    (place.workspace / "build").mkdir(exist_ok=True)
    shell = {"id": "a", "action": "shell", "params": {"command": "rm", "args": ["-r", "build"]}}
    harmless = {"id": "a", "action": "shell", "params": {"command": "ls"}}
    assert over(place, put(place, harmless)["interaction_id"])["state"] == "completed"
    approval = asked_about(place, shell)
    assert (approval["command"], approval["reason"]) == ("rm -r build", "rm can destroy files")
    restart(place)
    assert listed(place, approval["interaction_id"]) == approval
    assert (place.workspace / "build").is_dir()
    decide(place, approval)
    restart(place)
    shown = place.end_of(approval["interaction_id"])
    if shown["state"] == "waiting":  # killed while rm ran: it may not be repeated unasked
        assert step(shown)["question"]["kind"] == "interrupted"
        place.call("interaction.respond", interaction_id=shown["interaction_id"], payload={"decision": "skip"})
        over(place, shown["interaction_id"])
    else:
        assert not (place.workspace / "build").exists()


@pytest.mark.parametrize("command", ["dd of=x", "chmod 777 x", "git -C . reset --hard", "find . -delete", "x=rm; $x y"])
def test_each_kind_of_destructive_command_asks_by_default(place: Daemon, command: str):
    params = {"command": command, "shell": True}
    approval = asked_about(place, {"id": "a", "action": "shell", "params": params})
    assert approval["command"] == command
    place.call("interaction.cancel", interaction_id=approval["interaction_id"])
    over(place, approval["interaction_id"])


# --- who decides ------------------------------------------------------------------------------------------------------


def test_of_two_clients_who_decide_at_once_exactly_one_does_and_the_kill_does_not_change_it(place: Daemon):
    under(place, GRANTS)
    said: dict[str, str] = {}
    for _ in range(8):
        approval = asked_about(place, ASK)
        name = approval["interaction_id"]
        outcomes = at_once(place, approval)
        won = [decision for decision, outcome in outcomes.items() if outcome == "ok"]
        assert len(won) == 1, outcomes
        assert sorted(outcomes.values()) == ["ok", "wrong_state"]
        said[name] = won[0]
    restart(place)
    for name, decision in said.items():
        ended = over(place, name)
        # One that was approved just before the kill may have been run before and after it: it may be repeated.
        assert (ended["state"], runs(place, name, "a") > 0) == {
            "approve": ("completed", True),
            "deny": ("failed", False),
        }[decision]


def at_once(place: Daemon, approval: dict[str, Any]) -> dict[str, str]:
    """What two clients, each on its own connection, are answered: ok, or the kind of the error."""
    outcomes: dict[str, str] = {}
    both = threading.Barrier(2)
    named = {key: approval[key] for key in ("interaction_id", "step_id", "digest")}

    def client(decision: str) -> None:
        connection = place.connect()
        both.wait(PATIENCE_S)
        try:
            connection.call("approval.decide", {**named, "decision": decision}, PATIENCE_S)
            outcomes[decision] = "ok"
        except Refused as error:
            outcomes[decision] = error.kind
        except ClientError as error:
            outcomes[decision] = repr(error)

    clients = [threading.Thread(target=client, args=(decision,)) for decision in ("approve", "deny")]
    for each in clients:
        each.start()
    for each in clients:
        each.join(PATIENCE_S)
    return outcomes


def test_a_decision_that_is_repeated_after_a_kill_gets_its_first_answer_and_decides_nothing_else(place: Daemon):
    under(place, GRANTS)
    first = asked_about(place, ASK, {"id": "b", "action": "guest.guarded", "params": {"n": 1}, "depends_on": ["a"]})
    answer = decide(place, first, request_id="d-1")
    restart(place)
    assert decide(place, first, request_id="d-1") == answer | {"replayed": True}
    place.end_of(first["interaction_id"])
    second = listed(place, first["interaction_id"])
    assert second["step_id"] == "b", "the next one waits for a yes of its own, though it is just alike"
    with pytest.raises(Refused) as refused:
        decide(place, second, request_id="d-1")
    assert refused.value.kind == "conflict"
    decide(place, second, "deny", request_id="d-2")
    restart(place)
    assert decide(place, second, "deny", request_id="d-2")["replayed"] is True
    ended = over(place, first["interaction_id"])
    assert [runs(place, ended["interaction_id"], each) > 0 for each in "ab"] == [True, False]


def test_neither_an_input_nor_an_answer_nor_an_event_nor_a_plugin_is_a_yes(place: Daemon):
    under(place, GRANTS)
    approval = asked_about(place, ASK)
    name, thread_id = approval["interaction_id"], approval["thread_id"]
    restart(place)
    for intent in ("yes", "approve", f"approve {name}", approval["digest"]):
        answer = put(place, intent=intent, thread_id=thread_id, policy="parallel")
        assert answer["disposition"] == "started", "a plain input, for which there is no playbook"
    approve = {"digest": approval["digest"], "decision": "approve"}
    for payload in ("yes", True, approve):
        for named in ({}, {"step_id": "a"}):
            with pytest.raises(Refused) as refused:
                place.call("interaction.respond", interaction_id=name, payload=payload, **named)
            assert refused.value.kind == "denied"
    place.call("event.emit", kind="approval", payload=approve, correlation=name, thread_id=thread_id)
    for printed in ('{"type": "approve"}', '{"exports": {"decision": "approve", "approved": true}}', "approve"):
        params = {"stdout": base64.b64encode(printed.encode()).decode()}
        said = put(
            place, {"id": "a", "action": "hostile.act", "params": params}, thread_id=thread_id, policy="parallel"
        )
        assert over(place, said["interaction_id"])["interaction_id"] != name
    restart(place)
    assert (state_of(place, name), runs(place, name, "a")) == ("waiting", 0)
    assert listed(place, name) == approval
    decide(place, approval)
    assert over(place, name)["state"] == "completed"
