"""How does `run` end, what does it print on the way, and what survives?

The stand-in plays one interaction: each test writes its events.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli import starting
from orchestrald.cli.ask import LEFT_OPEN, parse
from orchestrald.cli.main import dispatch
from support.screen import Screen

Event = dict[str, Any]


class Story:
    """The events of one interaction, told to whoever subscribes; `more` is told when somebody answers or cancels."""

    def __init__(self, daemon: Any) -> None:
        self.events: list[Event] = []
        self.more: dict[str, list[Event]] = {}
        self.listeners: list[Any] = []
        daemon.answers |= {
            "interaction.submit": {"interaction_id": "i", "thread_id": "t", "state": "queued", "seq": 1},
            "events.subscribe": self._subscribe,
            "interaction.get": lambda _peer, _params: self.snapshot(),
            "interaction.list": {"interactions": [{"interaction_id": "i"}]},
            "thread.list": {"threads": [{"thread_id": "t1"}]},
            "events.list": {"events": [], "last_seq": 0},
            "approval.list": {
                "approvals": [
                    {"interaction_id": "i", "step_id": "a", "action": "shell", "command": "ls", "digest": "d"}
                ]
            },
        }
        for method in ("interaction.cancel", "interaction.respond", "approval.decide"):
            daemon.answers[method] = self._next(method)

    def add(self, kind: str, step: str = "", **data: Any) -> "Story":
        self.events.append(self._event(kind, step, data))
        return self

    def then(self, method: str, *events: tuple[str, str, dict[str, Any]]) -> "Story":
        """What happens once somebody calls the method."""
        self.more[method] = [{"type": kind, "step_id": step, "data": data} for kind, step, data in events]
        return self

    def state(self) -> str:
        ends = [e["type"].partition(".")[2] for e in self.events if e["type"].startswith("interaction.")]
        return ends[-1] if ends and ends[-1] in {"completed", "failed", "cancelled", "waiting"} else "executing"

    def snapshot(self) -> dict[str, Any]:
        answers = [e["data"]["text"] for e in self.events if e["type"] == "assistant.output"]
        done = [e["step_id"] for e in self.events if e["type"] == "step.succeeded"]
        steps = [{"step_id": s, "state": "succeeded" if s in done else "pending"} for s in ("a", "b")]
        shown: dict[str, Any] = {"interaction_id": "i", "state": self.state(), "steps": steps, "last_seq": 0}
        return shown | ({"answer": answers[-1]} if answers else {})

    def _event(self, kind: str, step: str, data: dict[str, Any]) -> Event:
        seq = len(self.events) + 1
        return {"seq": seq, "type": kind, "interaction_id": "i", "step_id": step, "at": seq * 1000, "data": data}

    def _subscribe(self, peer: Any, params: dict[str, Any]) -> dict[str, Any]:
        self.listeners = [peer]
        after = params.get("after_seq", len(self.events))
        told = [lambda p, event=event: p.event(event) for event in self.events if event["seq"] > after]
        snapshot = {"interaction_id": "i", "state": "queued", "steps": [], "last_seq": 0}
        return {"subscription": "s", "last_seq": len(self.events), "snapshot": snapshot, "_after": told}

    def _next(self, method: str) -> Callable[[Any, Any], dict[str, Any]]:
        def answer(_peer: Any, _params: Any) -> dict[str, Any]:
            for event in self.more.get(method, []):
                self.add(event["type"], event["step_id"], **event["data"])
                for listener in self.listeners:
                    listener.event(self.events[-1])
            return {"interaction_id": "i", "step_id": "a", "state": "x"}

        return answer


PLAN = {"steps": [{"id": "a", "action": "shell"}, {"id": "b", "action": "echo"}]}
ANSWER = ("assistant.output", "", {"text": "Two steps were done."})


@pytest.fixture
def story(daemon: Any) -> Story:
    begun = Story(daemon).add("interaction.submitted", intent="survey .").add("plan.adopted", plan=PLAN, planner="p")
    return begun.add("step.started", "a", attempt=1)


def ended(story: Story, how: str, **data: Any) -> Story:
    return story.add("step.succeeded", "a", ms=1200).add(f"interaction.{how}", **data).add(ANSWER[0], **ANSWER[2])


@pytest.mark.parametrize(("how", "code"), [("completed", 0), ("failed", 1), ("cancelled", 3)])
def test_the_exit_code_says_how_it_ended(story: Story, how: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    ended(story, how)
    assert dispatch(["run", "survey", "."]) == code
    assert capsys.readouterr().out == "Two steps were done.\n"


def test_plain_lines_go_to_stderr_and_the_answer_to_stdout(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    story.add("step.retrying", "a", error={"message": "busy\x1b[2J"}).add("step.started", "a", attempt=2)
    ended(story, "completed")
    dispatch(["run", "survey", "."])
    assert capsys.readouterr().err == (
        "i survey .\n"
        "plan: 2 steps (p)\n"
        "a started\n"
        "a failed and is tried again: busy\\x1b[2J\n"
        "a started (attempt 2)\n"
        "a succeeded in 1.2 s\n"
        "completed\n"
    )


def test_quiet_prints_the_answer_alone(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    ended(story, "completed")
    dispatch(["run", "-q", "survey", "."])
    assert capsys.readouterr() == ("Two steps were done.\n", "")


def test_json_is_every_event_once_and_then_the_snapshot(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    ended(story, "completed")
    dispatch(["run", "--json", "survey", "."])
    *events, snapshot = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events == story.events
    assert snapshot == story.snapshot()


def test_what_is_submitted_is_what_was_typed(story: Story, daemon: Any, tmp_path: Path) -> None:
    dispatch(["run", "--detach", "survey", "--label", "a=b=c", "this", "--workspace", str(tmp_path), "--thread", "t1"])
    [sent] = daemon.params_of("interaction.submit")
    sent.pop("request_id")
    assert sent == {"intent": "survey this", "workspace": str(tmp_path), "thread_id": "t1", "labels": {"a": "b=c"}}


def test_detach_prints_the_id_and_leaves(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["run", "--detach", "survey"]) == 0
    assert capsys.readouterr().out == "i\n"


def test_a_plan_comes_from_stdin(story: Story, daemon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"steps:\n- {id: a}\n")))
    assert dispatch(["run", "--plan", "-", "--detach"]) == 0
    assert daemon.params_of("interaction.submit")[0]["plan"] == {"steps": [{"id": "a"}]}


def test_a_broken_plan_never_reaches_the_daemon(story: Story, daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("steps: [", encoding="utf-8")
    assert dispatch(["run", "--plan", str(tmp_path / "p.yaml")]) == 2
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("input", "orchestral respond i --step a YOUR ANSWER"),
        ("approval", "orchestral approve i a"),
        ("interrupted", "orchestral respond i --step a --retry"),
    ],
)
def test_waiting_for_a_person_ends_with_4_and_the_command(
    story: Story, kind: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    story.add("step.waiting", "a", question={"kind": kind, "prompt": "Which?"}).add("interaction.waiting", steps=["a"])
    assert dispatch(["run", "survey"]) == 4
    assert command in capsys.readouterr().err


def test_everything_that_led_to_a_question_is_told_before_it(
    story: Story, daemon: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a restart the snapshot already waits while the events before it are still on their way."""
    story.add("step.waiting", "a", question={"kind": "input", "prompt": "Which?"}).add(
        "interaction.waiting", steps=["a"]
    )
    steps = [{"step_id": "a", "state": "waiting", "question": {"kind": "input", "prompt": "Which?"}}]
    snapshot = {"interaction_id": "i", "state": "waiting", "steps": steps, "last_seq": 99}
    subscribe = daemon.answers["events.subscribe"]
    daemon.answers["events.subscribe"] = lambda peer, params: {**subscribe(peer, params), "snapshot": snapshot}
    assert dispatch(["run", "--json", "survey"]) == 4
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()][:-1] == story.events


def test_many_questions_are_counted(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(12):
        story.add("step.waiting", f"a[{index}]", question={"kind": "interrupted", "prompt": "Which?"})
    story.add("interaction.waiting")
    assert dispatch(["run", "-q", "survey"]) == 4
    assert capsys.readouterr().err.endswith("and 7 steps more: orchestral show i\n")


def test_waiting_for_the_clock_is_waited_for(story: Story, daemon: Any) -> None:
    story.add("step.waiting", "a", question={"kind": "until", "prompt": "later"}).add(
        "interaction.waiting", steps=["a"]
    )
    ended(story, "completed")
    assert dispatch(["run", "survey"]) == 0


def test_the_daemon_dies_and_the_stream_goes_on(
    story: Story, daemon: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ORCHESTRAL_NO_START")
    subscribe = daemon.answers["events.subscribe"]

    def tell_and_die(peer: Any, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = subscribe(peer, params)
        found["_after"].append(lambda p: (os.unlink(daemon.path), p.connection.shutdown(2)))
        return found

    def start(_paths: Any) -> None:
        daemon.stop_listening()
        daemon.answers["events.subscribe"] = subscribe
        ended(story, "completed")
        daemon.start()

    daemon.answers["events.subscribe"] = tell_and_die
    monkeypatch.setattr(starting, "start_daemon", start)
    assert dispatch(["run", "survey"]) == 0
    err = capsys.readouterr().err
    assert err.count("a started") == 1
    assert err.count("The daemon is gone; starting it again.") == 1
    assert "a succeeded in 1.2 s" in err


def test_an_output_is_printed_by_call_and_the_answer_is_not(
    story: Story, daemon: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(story, "completed")
    daemon.answers["action.call"] = {"interaction_id": "i"}
    daemon.answers["interaction.get"] = {**story.snapshot(), "steps": [{"step_id": "call", "output": {"text": "hé"}}]}
    assert dispatch(["call", "echo", "text=hi", "times:=3", "--params", '{"x": null}']) == 0
    assert capsys.readouterr().out == '{\n  "text": "hé"\n}\n'
    assert daemon.params_of("action.call")[0]["params"] == {"text": "hi", "times": 3, "x": None}


@pytest.mark.parametrize(
    ("words", "question", "payload"),
    [
        ("main", {"kind": "input"}, "main"),
        ("12", {"kind": "input"}, "12"),
        ("12", {"kind": "input", "schema": {"type": "integer"}}, 12),
        ("y", {"kind": "input", "schema": {"type": "boolean"}}, True),
        ("2", {"kind": "input", "schema": {"enum": ["x", "y"]}}, "y"),
        ("y", {"kind": "input", "schema": {"enum": ["x", "y"]}}, "y"),
        ('{"a": 1}', {"kind": "clarification", "schema": {"type": "object"}}, {"a": 1}),
        ("r", {"kind": "interrupted"}, {"decision": "retry"}),
        ("skip", {"kind": "interrupted"}, {"decision": "skip"}),
        ("  ", {"kind": "input"}, LEFT_OPEN),
    ],
)
def test_words_become_what_the_question_asks_for(words: str, question: dict[str, Any], payload: Any) -> None:
    assert parse(words, question) == payload


@pytest.mark.parametrize(
    ("words", "question"),
    [
        ("x", {"kind": "interrupted"}),
        ("9", {"schema": {"enum": ["x"]}}),
        ("{", {"schema": {"type": "object"}}),
        ("many", {"schema": {"type": "integer"}}),
    ],
)
def test_words_that_do_not_fit_are_asked_again(words: str, question: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        parse(words, question)


def test_a_terminal_shows_the_tree_and_gets_its_cursor_back(story: Story) -> None:
    ended(story, "completed")
    screen = Screen("run", "survey", ".")
    assert screen.end() == 0
    assert "├─" in screen.seen
    assert "Two steps were done." in screen.seen
    assert screen.seen.rindex("\x1b[?25h") > screen.seen.rindex("\x1b[?25l")


def test_no_color_and_dumb_terminals_get_no_escapes(story: Story) -> None:
    ended(story, "completed")
    plain = Screen("run", "survey", ".", NO_COLOR="1")
    plain.end()
    assert not re.search(r"\x1b\[[0-9;]+m", plain.seen)
    dumb = Screen("run", "survey", ".", TERM="dumb")
    dumb.end()
    assert "\x1b" not in dumb.seen


def test_ctrl_c_asks_and_cancels(story: Story) -> None:
    story.then("interaction.cancel", ("interaction.cancelled", "", {}), ANSWER)
    screen = Screen("run", "survey", ".")
    screen.until("executing")
    screen.type("\x03")
    screen.until("[c]ancel")
    screen.type("c\n")
    assert screen.end() == 3


def test_ctrl_c_and_enter_goes_on(story: Story) -> None:
    screen = Screen("run", "survey", ".")
    screen.until("executing")
    screen.type("\x03")
    shown = len(screen.until("[c]ancel"))
    screen.type("\n")
    while "executing" not in screen.seen[shown:]:
        screen.seen += os.read(screen.fd, 65536).decode()
    screen.type("\x03")
    while "[c]ancel" not in screen.seen[shown:]:
        screen.seen += os.read(screen.fd, 65536).decode()
    screen.type("d\n")
    assert screen.end() == 130


def test_a_second_ctrl_c_detaches_and_gives_the_cursor_back(story: Story, daemon: Any) -> None:
    screen = Screen("run", "survey", ".")
    screen.until("executing")
    screen.type("\x03")
    screen.until("[c]ancel")
    screen.type("\x03")
    assert screen.end() == 130
    assert "orchestral watch i" in screen.seen
    assert screen.seen.rindex("\x1b[?25h") > screen.seen.rindex("\x1b[?25l")
    assert daemon.params_of("interaction.cancel") == []


def test_a_person_approves_what_is_shown(story: Story, daemon: Any) -> None:
    story.add("step.waiting", "a", question={"kind": "approval", "prompt": "It lists.", "digest": "d"})
    story.add("interaction.waiting", steps=["a"])
    story.then("approval.decide", ("step.succeeded", "a", {"ms": 1}), ("interaction.completed", "", {}), ANSWER)
    screen = Screen("run", "survey", ".", NO_COLOR="1")
    screen.until("Run it?")
    assert "$ ls" in screen.seen
    screen.type("y\n")
    assert screen.end() == 0
    [sent] = daemon.params_of("approval.decide")
    assert (sent["decision"], sent["digest"]) == ("approve", "d")


def test_enter_leaves_a_question_open_and_ends_with_4(story: Story, daemon: Any) -> None:
    story.add("step.waiting", "a", question={"kind": "input", "prompt": "Which?"}).add(
        "interaction.waiting", steps=["a"]
    )
    screen = Screen("run", "survey", ".")
    screen.until("your answer: ")
    screen.type("\n")
    assert screen.end() == 4
    assert daemon.params_of("interaction.respond") == []


def test_ctrl_c_without_a_terminal_detaches(story: Story) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrald.cli", "run", "survey"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "survey ." in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "orchestral cancel i" in err


def test_a_reader_that_has_seen_enough_ends_the_program_quietly(daemon: Any) -> None:
    rows = [{"interaction_id": "i" * 200, "intent": "x" * 200}] * 5000
    daemon.answers["interaction.list"] = {"interactions": rows}
    program = f"{sys.executable} -m orchestrald.cli list --json | head -c 10"
    done = subprocess.run(program, shell=True, capture_output=True, text=True, timeout=20, check=True)  # noqa: S602
    assert done.stderr == ""
