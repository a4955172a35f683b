"""How much of large values is looked at, and that no half of a secret is seen where that ends."""

import json
import time
from typing import Any

import pytest

from orchestrald.core.dialogue import Message
from orchestrald.core.observation import Observed, Seen
from orchestrald.core.redaction import HIDDEN, Redaction
from orchestrald.planner.base import Request
from orchestrald.planner.data import Marking, written
from orchestrald.planner.glimpse import LOOKED_AT, MARGIN, Allowance, beginning, glimpse
from orchestrald.planner.prompt import About, compose
from orchestrald.planner.window import shortened
from planner.bench import FEW

KNOWN = "correct-horse-battery"
REDACT = Redaction([KNOWN])


def seen(value: Any, most: int = 1_000_000, redact: Redaction = REDACT) -> Any:
    return glimpse(value, most, Allowance(), redact)


def test_what_fits_is_copied_whole_and_as_the_redaction_would_have_it():
    value = {"a": [1, 2.5, None, True, "x"], "password": "longer than eight", "api_key": "{{x.y}}", KNOWN: [KNOWN]}
    assert seen(value) == (REDACT.deep(value), True, len(written(value)), True)
    assert seen(value).value["password"] == HIDDEN and seen(value).value["api_key"] == "{{x.y}}"


def test_a_value_of_many_parts_is_cut_and_how_many_there_were_is_known():
    found = seen([{"id": i, "name": "x"} for i in range(100_000)])
    assert not found.whole and not found.counted
    assert 10 <= len(found.value) < 1000 and found.value.of == 100_000
    cut, left = shortened({"list": [[1] * 5000] * 5000, "ok": True}, 500, Marking(REDACT))
    assert "of 5000 items)" in json.dumps(cut, ensure_ascii=False) and cut["ok"] is True
    assert " of more than " in left
    assert seen([1] * 900, 100).size == len(written([1] * 900)), "a size that was counted to its end is exact"


def test_what_is_nested_without_end_is_cut_too():
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    tree: Any = 1
    for _ in range(40):
        tree = [tree, tree]
    for value in (deep, tree, {"a": tree}):
        assert len(written(seen(value).value)) < 20_000


@pytest.mark.parametrize("before", ["z", "sk-" + "a" * 30 + " ", f"{KNOWN} ", "-----BEGIN PRIVATE KEY-----x "])
@pytest.mark.parametrize("shift", range(1, len(KNOWN)))
def test_half_a_secret_at_the_end_of_what_is_looked_at_is_never_shown(before: str, shift: int):
    start = LOOKED_AT - shift

    def filled(length: int) -> str:
        return (before * (length // len(before))).ljust(length, "z")

    text = filled(start) + KNOWN + "y" * 200_000
    for room in (50, 1000, 9000):
        told = written(shortened([text, text], room, Marking(REDACT))[0])
        assert KNOWN[:3] not in told
        assert f"of {len(text)} characters" in told or room == 50
    assert KNOWN[:3] not in beginning(text, start - MARGIN + shift, REDACT)[0]
    assert KNOWN[:3] not in beginning(filled(start - MARGIN) + KNOWN, start - MARGIN + 3, REDACT)[0]


def test_the_beginning_of_a_text_says_whether_it_is_all():
    assert beginning("abc", 3, REDACT) == ("abc", True)
    assert beginning("abcd", 3, REDACT) == ("abc", False)
    assert beginning("x" * 100_000, 500, REDACT) == ("x" * 500, False)


def objects(count: int) -> dict[str, Any]:
    return {"items": [{"id": i, "name": f"name {i}", "ok": True} for i in range(count)]}


LARGE: dict[str, Request] = {
    "objects": Request(
        "x", observed=Observed(tuple(Seen(f"s{i}", "a", "succeeded", objects(240_000)) for i in "abcd"))
    ),
    "texts": Request(
        "x", observed=Observed(tuple(Seen(f"s{i}", "a", "succeeded", ["a b " * 3000] * 900) for i in "abcd"))
    ),
    "many steps": Request("x", observed=Observed((Seen("s", "a", "succeeded", objects(3000)),) * 2000)),
    "an intent": Request("word " * 2_000_000),
    "messages": Request("x", dialogue=tuple(Message(i, i, "user", "word " * 400_000) for i in range(20))),
}


@pytest.mark.parametrize("name", LARGE)
def test_composing_takes_a_bounded_time(name: str):
    about = About(LARGE[name], tuple(FEW.values()))
    taken = []
    for _ in range(3):
        began = time.process_time()
        compose(about, 128_000, Marking(REDACT))
        taken.append(time.process_time() - began)
    assert min(taken) < 1, "it takes a fiftieth of this, and took up to nineteen seconds when all of it was looked at"


def told(seen: Seen) -> str:
    """Of a hundred such steps, and of one that was begun before them."""
    steps = (*(seen._replace(id=f"s{i}") for i in range(100)), Seen("bad", "a", "failed", failure=DENIED))
    request = Request("x" * 500, observed=Observed(steps), dialogue=(Message(1, 1, "user", "hello " * 90),))
    return compose(About(request, tuple(FEW.values())), 128_000, Marking(REDACT)).messages[1].text


DENIED = {"code": "denied", "message": "no such file " * 20}
HUGE = [["a b " * 3000] * 900, objects(3000)]


def test_large_outputs_leave_the_other_parts_what_they_need():
    words = told(Seen("s", "a", "failed", HUGE, failure=DENIED))
    assert "x" * 500 in words and "hello " * 90 in words
    assert words.count(DENIED["message"]) > 20 and '"failure":{"…"' not in words


def test_large_failures_leave_the_other_parts_what_they_need():
    words = told(Seen("s", "a", "failed", failure={"code": "x", "details": HUGE}))
    assert "x" * 500 in words and "hello " * 90 in words
