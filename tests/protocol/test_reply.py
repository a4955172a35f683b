"""Does each shape of an answer mean one thing, and is everything else refused?"""

from typing import Any

import pytest

from orchestrald.core.model import Failure, Question
from orchestrald.protocol.reply import MAX_COMMAND, MAX_RETRY_AFTER_MS, MAX_STATE, Malformed, approval, meaning

SHAPES: list[tuple[dict[str, Any], Any]] = [
    ({"type": "success", "exports": {"total": 12.5}}, {"total": 12.5}),
    ({"type": "success"}, {}),
    ({"type": "success", "exports": {}, "message": "ignored: the type decides"}, {}),
    (
        {
            "type": "need_clarification",
            "question": "Which year?",
            "schema": {"type": "object"},
            "state": "\u0000opaque\n",
        },
        Question("clarification", "Which year?", schema={"type": "object"}, state="\u0000opaque\n"),
    ),
    ({"type": "need_clarification", "question": "Which?"}, Question("clarification", "Which?")),
    (
        {
            "type": "need_approval",
            "request": {"reason": "Deletes 3", "command": "rm a b c"},
            "preview": ["a"],
            "state": "s",
        },
        Question("approval", "Deletes 3", preview={"command": "rm a b c", "preview": ["a"]}, state="s"),
    ),
    ({"type": "need_approval", "request": {"reason": "r"}}, Question("approval", "r")),
    (
        {"type": "retryable_error", "message": "429", "retry_after": 2000, "attempt": 1},
        Failure("retryable_error", "429", retryable=True, retry_after_ms=2000),
    ),
    ({"type": "retryable_error", "message": "m", "code": "busy"}, Failure("busy", "m", retryable=True)),
    ({"type": "retryable_error", "message": "m", "retry_after": 0}, Failure("retryable_error", "m", True, 0)),
    (
        {"type": "error", "message": "not a PDF", "code": "bad_input", "details": {"page": 1}},
        Failure("bad_input", "not a PDF", details={"page": 1}),
    ),
    ({"type": "error", "message": "boom", "details": {}}, Failure("action_failed", "boom")),
    ({"exports": {"a": 1}}, {"a": 1}),
    ({"exports": {}, "x": 1}, {}),
    ({"question": "Which?"}, Question("clarification", "Which?")),
    ({"message": "m", "retry_after_ms": 5}, Failure("retryable_error", "m", True, 5)),
    ({"message": "m", "attempt": 0}, Failure("retryable_error", "m", True)),
    ({"message": "boom"}, Failure("action_failed", "boom")),
]


@pytest.mark.parametrize(("answer", "means"), SHAPES, ids=lambda v: str(v)[:60])
def test_every_shape_has_its_meaning(answer: dict[str, Any], means: Any) -> None:
    assert meaning(answer) == means


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({}, "exactly one of"),
        ([], "an array"),
        ("success", "a string"),
        (None, "null"),
        (True, "a boolean"),
        (3, "a number"),
        ({"result": 1}, "it has none of them"),
        ({"exports": {}, "message": "m"}, "exports and message"),
        ({"question": "q", "message": "m"}, "question and message"),
        ({"exports": {}, "question": "q"}, "exports and question"),
        ({"type": "succes", "exports": {}}, "'succes'"),
        ({"type": None}, "None"),
        ({"type": ["error"], "message": "m"}, "one of success"),
        ({"type": "success", "exports": None}, "exports must be an object, not null"),
        ({"type": "success", "exports": [1]}, "an array"),
        ({"exports": "x"}, "exports must be an object"),
        ({"type": "error"}, "message must be a string"),
        ({"type": "error", "message": " "}, "says something"),
        ({"type": "error", "message": 3}, "message must be a string"),
        ({"type": "error", "message": "m", "code": 3}, "code must be"),
        ({"type": "error", "message": "m", "code": ""}, "code must be"),
        ({"type": "error", "message": "m", "code": "x" * 101}, "code must be"),
        ({"type": "error", "message": "m", "details": "d"}, "details must be an object"),
        ({"type": "retryable_error", "retry_after": 1}, "message must be"),
        ({"type": "retryable_error", "message": "m", "retry_after": -1}, "retry_after must be"),
        ({"type": "retryable_error", "message": "m", "retry_after": 1.5}, "retry_after must be"),
        ({"type": "retryable_error", "message": "m", "retry_after": "2s"}, "retry_after must be"),
        ({"type": "retryable_error", "message": "m", "retry_after": True}, "retry_after must be"),
        ({"type": "retryable_error", "message": "m", "attempt": -1}, "attempt must be"),
        ({"message": "m", "retry_after_ms": "5"}, "retry_after_ms must be"),
        ({"type": "need_clarification"}, "question must be"),
        ({"type": "need_clarification", "question": "q", "schema": []}, "schema must be an object"),
        ({"type": "need_clarification", "question": "q", "schema": {"$ref": "http://x"}}, "leaves the schema"),
        ({"type": "need_clarification", "question": "q", "schema": {"pattern": "(a+)+$"}}, "exponentially"),
        ({"type": "need_clarification", "question": "q", "state": {}}, "state must be a string"),
        ({"type": "need_clarification", "question": "q", "state": "x" * (MAX_STATE + 1)}, "state is longer"),
        ({"type": "need_approval"}, "request must be"),
        ({"type": "need_approval", "request": {}}, "request.reason must be"),
        ({"type": "need_approval", "request": {"reason": "r", "command": ["rm"]}}, "request.command must be a string"),
        ({"type": "need_approval", "request": {"reason": "r", "command": "x" * (MAX_COMMAND + 1)}}, "longer than"),
    ],
    ids=lambda v: str(v)[:60],
)
def test_what_has_no_shape_or_two_is_refused(answer: Any, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        meaning(answer)
    assert says in str(caught.value)


def test_what_a_person_will_read_cannot_move_the_cursor() -> None:
    question = meaning({"type": "need_approval", "request": {"reason": "ok\x1b[2K", "command": "rm -rf \u202e/"}})
    assert question == approval("ok\x1b[2K", "rm -rf \u202e/")
    assert question.prompt == "ok\\x1b[2K"
    assert question.preview == {"command": "rm -rf \\u202e/"}


def test_a_command_to_approve_is_never_shown_shortened() -> None:
    command = "echo harmless " + " " * 10_000 + "; rm -rf /"
    question = meaning({"type": "need_approval", "request": {"reason": "r", "command": command}})
    assert question.preview == {"command": command}


def test_a_wait_of_years_is_shortened_to_a_week() -> None:
    failure = meaning({"type": "retryable_error", "message": "m", "retry_after": 2**53})
    assert failure.retry_after_ms == MAX_RETRY_AFTER_MS


def test_a_novel_of_a_message_is_cut() -> None:
    failure = meaning({"type": "error", "message": "x" * 100_000})
    assert len(failure.message) < 2_100
