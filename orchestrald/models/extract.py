"""Which JSON object is the answer, and if there is none, what exactly is wrong?

A model may think aloud, fence its JSON, or wrap it in a sentence; that is taken off. Nothing else is forgiven, and
nothing repaired: a guess at what a broken plan meant would be run. Whoever asked shows the model the sentence in
BadAnswer and asks again, so it must say what is wrong and where.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from orchestrald.errors import BadAnswer
from orchestrald.protocol.strict_json import NotStrictJson, loads

_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
# One line of a fence, not the whole: looked for together, each that opens and never closes would be a walk to the end.
_FENCE = re.compile(r"^[ \t]*+```[ \t]*+(?P<language>\w*+)[ \t]*+$", re.MULTILINE)
# What follows the brace tells an object from braces in prose, such as {name}.
_OBJECT = re.compile(r'\{(?=\s*["}])')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?P<end>"?)|[\[\]{}]', re.DOTALL)
_TRAILING = re.compile(r'"(?:[^"\\]|\\.)*+"|,\s*+(?P<closes>[}\]])', re.DOTALL)
_MOST = 1000
"""Objects that are looked at. An answer that holds more repeats itself, or is no answer."""
_CLOSES = {"{": "}", "[": "]"}
_NAMES = {"{": "the object", "[": "the list", '"': "the text"}


class _Span(NamedTuple):
    start: int
    end: int


def read_object(text: str) -> dict[str, Any]:
    """The one object in the answer. Raises BadAnswer with a sentence that a model can act upon."""
    text = _unthought(text)
    if not text.strip():
        raise BadAnswer("The answer is empty; it must be one JSON object.")
    begins = len(text) - len(text.lstrip())
    if text[begins] in "{[":
        # What begins with { may go on in prose; what is said below about it is more precise, too.
        with suppress(NotStrictJson):
            return _expected(loads(text.encode("utf-8", "replace")), text, begins)
    fences = [span for span in _fenced(text) if text[span.start : span.end].lstrip()[:1] in ("{", "[")]
    is_clear = len(fences) == 1 and _OBJECT.match(text, _first(text, fences[0]))
    within = fences[0] if is_clear else _Span(0, len(text))
    spans = list(islice(_objects(text, within), _MOST + 1))
    if len(spans) > _MOST:
        raise BadAnswer(f"The answer holds more than {_MOST} objects; it must be one.")
    return _the_one(text, spans)


def _fenced(text: str) -> Iterator[_Span]:
    """What stands between a line that opens a fence and the next one that closes it."""
    opened: int | None = None
    for line in _FENCE.finditer(text):
        if opened is None:
            opened = line.end() + 1
        elif not line["language"]:
            yield _Span(opened, line.start())
            opened = None


def _the_one(text: str, spans: list[_Span]) -> dict[str, Any]:
    if not spans:
        raise BadAnswer(_nothing(text))
    first, *others = spans
    value, written = _one(text, first), text[first.start : first.end]
    for span in others:
        if text[span.start : span.end] != written and _one(text, span) != value:
            raise BadAnswer(
                f"The answer holds two different objects, at {_at(text, first.start)} and at {_at(text, span.start)}; "
                "it must be one."
            )
    return value


def _one(text: str, span: _Span) -> dict[str, Any]:
    """The object in the span. Places are told in the whole answer, for that is what its author sees."""
    before = span.start - 1
    while before >= 0 and text[before].isspace():
        before -= 1
    if before >= 0 and text[before] == "[":
        return _expected([], text, before)
    try:
        value = loads(text[span.start : span.end].encode("utf-8", "replace"))
    except NotStrictJson:
        raise BadAnswer(f"The answer is not JSON: {_fault(text, span)}.") from None
    return _expected(value, text, span.start)


def _expected(value: Any, text: str, start: int) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise BadAnswer(f"The answer is a list, at {_at(text, start)}; it must be one JSON object.")


def _objects(text: str, within: _Span) -> Iterator[_Span]:
    """Whatever looks like an outermost object. Raises BadAnswer where one does not end."""
    position = within.start
    while begun := _OBJECT.search(text, position, within.end):
        position = _end(text, begun.start(), within.end)
        yield _Span(begun.start(), position)


def _end(text: str, start: int, limit: int) -> int:
    """Behind the bracket that closes the one at `start`."""
    opened: list[tuple[str, int]] = []
    for token in _TOKEN.finditer(text, start, limit):
        mark = token[0][0]
        if mark in _CLOSES:
            opened.append((mark, token.start()))
        elif mark == '"':
            if not token["end"]:
                opened.append((mark, token.start()))
                break
        elif _CLOSES[opened[-1][0]] != mark:
            mark_, at = opened[-1]
            raise BadAnswer(
                f"The answer is not JSON: {mark} at {_at(text, token.start())} does not close {_NAMES[mark_]} that "
                f"begins at {_at(text, at)}."
            )
        else:
            opened.pop()
            if not opened:
                return token.end()
    mark, at = opened[-1]
    raise BadAnswer(f"The answer ends inside {_NAMES[mark]} that begins at {_at(text, at)}; it must be complete.")


def _fault(text: str, span: _Span) -> str:
    # A trailing comma is what models write most often, and what the parser says least clearly.
    for found in _TRAILING.finditer(text, *span):
        if found["closes"]:
            return f"a comma stands before {found['closes']} at {_at(text, found.start())}"
    # Behind as many lines and columns as stand in front of it, so that the parser counts in the whole answer.
    moved = re.sub(r"[^\n]+", lambda line: " " * len(line[0]), text[: span.start]) + text[span.start : span.end]
    try:
        loads(moved.encode("utf-8", "replace"))
    except NotStrictJson as error:
        return str(error)
    return "it is not"


def _nothing(text: str) -> str:
    brace = text.find("{")
    if brace < 0:
        shown = " ".join(text[:200].split())
        return f"The answer holds no JSON object; it begins with {shown[:60]!r}."
    return (
        f"The answer holds no JSON object: what begins with {{ at {_at(text, brace)} is none, for behind it must come "
        f'a key in double quotes (") or }}.'
    )


def _unthought(text: str) -> str:
    """Without the thoughts in front. Some templates open them in the prompt, so that only their end is answered."""
    if thought := _THOUGHT.match(text):
        return text[thought.end() :]
    if text.lstrip().startswith(("<think>", "<thinking>")):
        raise BadAnswer("The answer ends inside its <think> block; behind it must come one JSON object.")
    before, end, after = text.partition("</think>")
    return after if end and before.lstrip()[:1] not in ("{", "`") else text


def _first(text: str, span: _Span) -> int:
    return span.start + len(text[span.start : span.end]) - len(text[span.start : span.end].lstrip())


def _at(text: str, position: int) -> str:
    return f"line {text.count(chr(10), 0, position) + 1} column {position - text.rfind(chr(10), 0, position)}"
