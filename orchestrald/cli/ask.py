"""How is a person asked what a step waits for, and what do the words they type mean?

Rules of this file:

- An approval shows everything that will run, uncut and escaped; what was shown is what is approved (its digest).
- Enter alone never decides anything: the question stays open and can be answered later.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time

from orchestrald.cli.text import ago, plural, safe, safe_lines
from orchestrald.client import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.board import Row
    from orchestrald.cli.terminal import Line, Terminal
    from orchestrald.client import Client

LEFT_OPEN = object()
"""What `parse` gives for Enter alone."""


def ask(client: Client, interaction_id: str, row: Row, screen: Terminal) -> bool:
    """Ask one question; False when it was left open. An answer that came too late is told and counts as answered."""
    question = row.question or {}
    try:
        if question.get("kind") == "approval":
            return _approval(client, interaction_id, row, screen)
        screen.print(*question_lines(row))
        payload = _repeat(screen, question)
        if payload is LEFT_OPEN:
            return False
        client.call("interaction.respond", interaction_id=interaction_id, step_id=row.step_id, payload=payload)
    except Refused as error:
        if error.kind not in {"wrong_state", "not_found", "conflict"}:
            raise
        screen.print([(f"That came too late: {safe(error.message)}", "wait")])
    return True


def _approval(client: Client, interaction_id: str, row: Row, screen: Terminal) -> bool:
    found = find_approval(client, interaction_id, row.step_id)
    if found is None:
        return True
    screen.print(*approval_lines(found), *about(found))
    forget_typed_ahead()
    while True:
        word = read_line(screen, "Run it? [y]es, [n]o, Enter decides later: ").strip().lower()
        if not word:
            return False
        if word in {"y", "yes", "n", "no"}:
            decide(client, found, "approve" if word.startswith("y") else "deny")
            return True


def forget_typed_ahead() -> None:
    """Nobody can have meant what they typed before they saw what it is about: a pasted `y` approves nothing."""
    import termios

    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def find_approval(client: Client, interaction_id: str, step_id: str) -> dict[str, Any] | None:
    """The open approval of one step; an empty `step_id` means the only one of the interaction. None: there is none."""
    rows = client.call("approval.list")["approvals"]
    rows = [row for row in rows if row["interaction_id"] == interaction_id and step_id in {"", row["step_id"]}]
    return rows[0] if len(rows) == 1 else None


def decide(client: Client, approval: dict[str, Any], decision: str, note: str = "") -> None:
    client.call(
        "approval.decide",
        interaction_id=approval["interaction_id"],
        step_id=approval["step_id"],
        digest=approval["digest"],
        decision=decision,
        note=note or None,
    )


def approval_lines(approval: dict[str, Any]) -> list[Line]:
    """Exactly what will run: the command where there is one, and always the parameters."""
    lines: list[Line] = [
        [(safe(approval["step_id"]), "bold"), (" wants to run ", "wait"), (safe(approval.get("action", "")), "bold")]
    ]
    lines += [[("  " + text, "")] for text in safe_lines(approval.get("reason") or "")]
    if approval.get("command"):
        lines += [
            [("  $ " if i == 0 else "    ", "dim"), (text, "")]
            for i, text in enumerate(safe_lines(approval["command"]))
        ]
    if approval.get("workspace"):
        lines.append([("  in ", "dim"), (safe(approval["workspace"]), "")])
    if approval.get("params") is not None:
        lines += value_lines("parameters", approval["params"])
    if approval.get("preview") is not None:
        lines += value_lines("preview", approval["preview"])
    return lines


def about(approval: dict[str, Any]) -> list[Line]:
    """When it was asked, until when it can be answered, and where."""
    now = time.time_ns() // 1000
    said = [f"asked {ago(approval.get('asked_at', now), now)}"]
    if approval.get("expires_at"):
        said.append(f"expires {ago(approval['expires_at'], now)}")
    if approval.get("thread_id"):
        said.append(f"thread {safe(approval['thread_id'])}")
    return [[("  " + ", ".join(said), "dim")]]


def value_lines(name: str, value: object) -> list[Line]:
    """A value as a person reads it: text as it is, anything else as indented JSON. Nothing is cut."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return [[(f"  {name}:", "dim")], *([("    " + line, "")] for line in safe_lines(text))]


def question_lines(row: Row) -> list[Line]:
    question = row.question or {}
    first, *more = safe_lines(question.get("prompt") or "It waits for an answer.")
    lines: list[Line] = [
        [(safe(row.step_id), "bold"), (" asks: ", "wait"), (first, "")],
        *([("  " + line, "")] for line in more),
    ]
    if question.get("kind") == "interrupted":
        lines.append([("  Whether it took effect before the daemon died is not known.", "dim")])
    choices = (question.get("schema") or {}).get("enum")
    if isinstance(choices, list):
        lines += [[(f"  {index}  ", "dim"), (safe(choice), "")] for index, choice in enumerate(choices, 1)]
    return lines


def _repeat(screen: Terminal, question: dict[str, Any]) -> Any:
    """Ask until the words can be understood."""
    while True:
        words = read_line(screen, prompt_for(question))
        try:
            return parse(words, question)
        except ValueError as error:
            screen.print([(f"  {safe(error)}", "bad")])


def prompt_for(question: dict[str, Any]) -> str:
    if question.get("kind") == "interrupted":
        return "[r]etry, [s]kip or [f]ail, Enter decides later: "
    schema = question.get("schema") or {}
    if isinstance(schema.get("enum"), list):
        return f"1 to {len(schema['enum'])}, Enter answers later: "
    kind = schema.get("type", "string")
    return {"boolean": "[y]es or [n]o: ", "integer": "a whole number: ", "number": "a number: "}.get(
        str(kind), "your answer: " if kind == "string" else f"JSON ({safe(kind)}): "
    )


def parse(words: str, question: dict[str, Any]) -> Any:
    """The payload that the words mean, or LEFT_OPEN for none. Raises ValueError in words for a person.

    The schema's type decides how: text stays as it is, enum takes a number or the value, the rest is JSON.
    """
    words = words.strip()
    if not words:
        return LEFT_OPEN
    if question.get("kind") == "interrupted":
        decision = {"r": "retry", "s": "skip", "f": "fail"}.get(words[0].lower())
        if decision is None or not decision.startswith(words.lower()):
            raise ValueError("Type retry, skip or fail.")
        return {"decision": decision}
    schema = question.get("schema") or {}
    if isinstance(schema.get("enum"), list):
        return _chosen(words, schema["enum"])
    kind = schema.get("type", "string")
    if kind == "boolean" and words.lower() in {"y", "yes", "n", "no"}:
        return words.lower().startswith("y")
    if kind == "string" or not isinstance(kind, str):
        return words
    try:
        return json.loads(words)
    except ValueError:
        raise ValueError(f"That is not {'JSON' if kind in {'object', 'array'} else 'a ' + kind}.") from None


def _chosen(words: str, choices: list[Any]) -> Any:
    for choice in choices:
        if words == choice or words == str(choice):
            return choice
    if words.isdigit() and 1 <= int(words) <= len(choices):
        return choices[int(words) - 1]
    raise ValueError(f"Choose one of the {plural(len(choices), 'answer')} by its number.")


def _until_there_is_a_line() -> None:
    """Wait for the keyboard, or for Ctrl-C.

    A signal that comes between the last bytecode and the system call is noted, and the call then waits all the same,
    for ever: Python looks at signals when a call is interrupted, and this one never was. So the signal writes a byte.
    """
    rings, bell = os.pipe()
    os.set_blocking(bell, False)
    before = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    try:
        select.select([sys.stdin, rings], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(rings)
        os.close(bell)


def read_line(screen: Terminal, prompt: str) -> str:
    """One line from the keyboard; end of input counts as Enter. Ctrl-C raises KeyboardInterrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # first: whoever sees the prompt may press Ctrl-C
    try:
        screen.stream.write(prompt)
        screen.stream.flush()
        _until_there_is_a_line()
        line = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not line.endswith("\n"):
        screen.stream.write("\n")
    return line.rstrip("\n")
