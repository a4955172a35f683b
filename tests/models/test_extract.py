"""Which object is read from an answer, and what is said when there is none?"""

import contextlib
import json
import time

import pytest

from orchestrald.errors import BadAnswer
from orchestrald.models.extract import read_object

ONE = {"a": 1, "text": 'a "quoted" } brace'}
WRITTEN = json.dumps(ONE)

READ = {
    "bare": WRITTEN,
    "with space around": f"\n\n  {WRITTEN} \n",
    "over several lines": json.dumps(ONE, indent=2),
    "fenced": f"```json\n{WRITTEN}\n```",
    "fenced without a language": f"```\n{WRITTEN}\n```",
    "fenced in prose": f"Here is the plan:\n\n```json\n{WRITTEN}\n```\n\nTell me if it suits you.",
    "fenced beside braces in prose": f"The set {{1, 2}} and {{}} become\n```json\n{WRITTEN}\n```\n",
    "fenced and indented": f"  ```json\n  {WRITTEN}\n  ```",
    "two fences, one of them another language": f"```sh\necho {{x}}\n```\n```json\n{WRITTEN}\n```",
    "in prose": f"Sure! {WRITTEN} That is it.",
    "behind braces in prose": f"I put {{name}} into it: {WRITTEN}",
    "behind a quote in prose": f"It's 5\" wide: {WRITTEN}",
    "before an open brace": f"{WRITTEN} and that is all {{so far",
    "twice the same": f"{WRITTEN}\n{WRITTEN}",
    "the same in another order": '{"a": 1, "b": 2} or {"b": 2, "a": 1}',
    "behind thoughts": f'<think>Shall it be {{"a": 2}}?</think>\n{WRITTEN}',
    "behind thoughts that the template began": f'Shall it be {{"a": 2}}?\n</think>\n{WRITTEN}',
    "behind thoughts behind a word": f'So: <think>{{"a": 2}}</think> {WRITTEN}',
    "a think tag inside a text": '{"a": 1, "text": "</think>"}',
    "a fence inside a text": '{"a": "```json\\n{}\\n```"}',
    "empty": "{}",
    "fenced below a fence that is never closed": f"```json\n{WRITTEN}\n```\n```a\n```b\n",
    "nested": '{"a": {"b": [{"c": {}}]}}',
}


@pytest.mark.parametrize("case", READ)
def test_the_one_object_is_found(case: str) -> None:
    found = read_object(READ[case])
    if WRITTEN in READ[case] or "lines" in case:
        assert found == ONE
    else:
        assert found == json.JSONDecoder().raw_decode(READ[case])[0]


WRONG = {
    "empty": ("", "The answer is empty"),
    "blank": (" \n\t", "The answer is empty"),
    "thoughts alone": ("<think>Hm.</think>", "The answer is empty"),
    "thoughts that do not end": ('<think>It is {"a": 1}', "ends inside its <think> block"),
    "prose": ("I cannot do that.", "no JSON object; it begins with 'I cannot do that.'"),
    "a text": ('"hello"', "no JSON object"),
    "a number": ("42", "no JSON object"),
    "a list": ('[{"a": 1}]', "The answer is a list"),
    "a list in prose": ('Here: [{"a": 1}]', "The answer is a list, at line 1 column 7"),
    "a fenced list": ('```json\n[\n {"a": 1}\n]\n```', "The answer is a list, at line 2 column 1"),
    "single quotes": ("{'a': 1}", "what begins with { at line 1 column 1 is none"),
    "two objects": ('{"a": 1}\n{"a": 2}', "two different objects, at line 1 column 1 and at line 2 column 1"),
    "two fences": ('```\n{"a": 1}\n```\n```\n{"b": 2}\n```', "two different objects, at line 2 column 1 and at line 5"),
    "cut in a text": ('{"a": "hel', "ends inside the text that begins at line 1 column 7"),
    "cut behind a backslash": ('{"a": "hel\\', "ends inside the text that begins at line 1 column 7"),
    "cut in a list": ('{"a": [1, 2', "ends inside the list that begins at line 1 column 7"),
    "cut in an object": ('Well:\n{"a": {"b": 1},', "ends inside the object that begins at line 2 column 1"),
    "cut in a fence": ('```json\n{"a": {"b": 1}', "ends inside the object that begins at line 2 column 1"),
    "a whole object before a cut one": ('{"a": 1} {"b": [', "ends inside the list that begins at line 1 column 16"),
    "a trailing comma": ('{"a": 1,\n "b": [1, 2,]}', "a comma stands before ] at line 2 column 12"),
    "a trailing comma in prose": ('Here:\n  {"a": ",}", "b": 1, }.', "a comma stands before } at line 2 column 21"),
    "duplicate keys": ('{"a": 1, "a": 2}', 'the key "a" occurs twice'),
    "NaN": ('{"a": NaN}', "NaN is not JSON"),
    "a number beyond floats": ('{"a": 1e999}', "too large for a float"),
    "a comment": ('{"a": 1 // one\n}', "Expecting ',' delimiter at line 1 column 9"),
    "a comment in prose": ('So:\n {"a": 1 // one\n}', "Expecting ',' delimiter at line 2 column 10"),
    "a broken object before a good one": ('{"a": [1 2]} {"b": 1}', "Expecting ',' delimiter"),
    "the wrong bracket": ('{"a": [1}', "} at line 1 column 9 does not close the list that begins at line 1 column 7"),
    "a line break in a text": ('{"a": "x\ny"}', "Invalid control character"),
    "half a surrogate pair": ('{"a": "\\ud83d"}', "half of a surrogate pair"),
    "far too many": ('{"a": 1} ' * 1001, "holds more than 1000 objects; it must be one"),
    "far too deep": ('{"a": ' + "[" * 100 + "]" * 100 + "}", "nested 101 levels deep"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_and_where(case: str) -> None:
    text, says = WRONG[case]
    with pytest.raises(BadAnswer) as caught:
        read_object(text)
    assert says in caught.value.message
    assert caught.value.message.startswith("The answer ") and caught.value.message.endswith(".")


PIECES = [
    "{", '{"', "{ ", "{\n", '{"a":[', "[", "[1,", "]", "}", '"', '"\n', '\\"', "\\", "```\n", "```a\n", "\n```a\n{\n",
    "```a", "``` ", "```\n{}\n```\n", "<think>", "</think>", '{"a":1}', '{"a":1,}\n', "{}", "{ }", "{'", ", ", "1",
    "\n", " ", "\t", "é",
]  # fmt: skip
AROUND = [
    ("", ""),
    ("x", ""),
    ("", "["),
    ('{"', ""),
    ('{"a":"', '"}'),
    ("``` ", "!"),
    ("x\n", ",}"),
    ('{"a":[', "1 2]}"),
]


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    text = (piece * 262_144)[:262_144]
    for before, behind in AROUND:
        whole = f"{before}{text}{behind}"
        # It takes a tenth of this; what looks at a text again and again takes minutes.
        assert any(_seconds(whole) < 3 for _ in range(3)), (before, behind)


def _seconds(text: str) -> float:
    begun = time.process_time()
    with contextlib.suppress(BadAnswer):
        read_object(text)
    return time.process_time() - begun
