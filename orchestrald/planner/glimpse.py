"""How much of a value is looked at, however large it is, before it is put into a prompt?

An output may be megabytes, and a prompt is made of it in the event loop. So each part of a prompt has an allowance, in
values and characters, of which each thing that is told in it may take some. What is beyond it is not copied, not
searched for secrets and not encoded; how much that is stays known.

A text that is cut before it is searched may end in half a secret, which nobody would recognize: its end is dropped
afterwards, by more than a secret is long.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from orchestrald.core.redaction import HIDDEN, LONGEST_KEY, SHORTEST, Redaction

MARGIN = 8 * 1024
"""Characters that are dropped at the end of what was looked at of a text: more than a secret has."""

LOOKED_AT = MARGIN + 4 * 1024
"""Characters that are looked at of a text that is not told whole: more than are told of it, and the margin."""

_FEWER = (200, 50, 12, 3)
"""Items of each list and object that are looked at where there are too many, from the mildest to the harshest."""

_DEEPEST = 64
_SHORT = 64
"""Characters of a text that may well come again, such as a key in a list of objects."""


class CutText(str):
    """The beginning of a text that has `of` characters."""

    of = 0


class CutList(list[Any]):
    """The first of `of` items."""

    of = 0


class CutDict(dict[str, Any]):
    """The first of `of` keys, with their values."""

    of = 0


class Glimpse(NamedTuple):
    """`value` has no secrets. Not `whole`: what is cut in it is a `CutText`, `CutList` or `CutDict`. `size` is about
    how many characters of JSON the value as it came has; not `counted`: it has more."""

    value: Any
    whole: bool
    size: int
    counted: bool


class Allowance:
    """What may still be looked at: values that are counted, values and characters that are copied. Measured, so that
    the outputs of a round take well under 50 ms."""

    def __init__(self) -> None:
        self.visits = 16_000
        self.values = 3_000
        self.characters = 384 * 1024


def glimpse(value: Any, most: int, left: Allowance, redact: Redaction) -> Glimpse:
    """All of the value where it has at most `most` characters and there is an allowance for it, else parts of it."""
    values, characters = left.values // 3, left.characters // 3
    all_ = _count(value, left.visits // 4, None, None)
    left.visits -= all_.values
    if all_.complete and all_.values <= values and all_.characters <= min(characters, most):
        items, longest = None, all_.characters
    else:
        items, longest = _fewer(value, values, characters, left), LOOKED_AT
    copy = _Copy(redact, items, longest, values, characters)
    made = copy.of(value)
    left.values -= values - max(copy.values, 0)
    left.characters -= characters - copy.characters
    return Glimpse(made, items is None, all_.characters, all_.complete)


def _fewer(value: Any, values: int, characters: int, left: Allowance) -> int:
    """How many items of everything can be looked at. Even the harshest may be too many, which `_Copy` sees to."""
    for items in _FEWER[:-1]:
        some = _count(value, min(values, left.visits // 4), items, LOOKED_AT)
        left.visits -= some.values
        if some.complete and some.characters <= characters:
            return items
    return _FEWER[-1]


def beginning(text: str, most: int, redact: Redaction) -> tuple[str, bool]:
    """At most `most` characters of the text, without its secrets, and whether that is all of it."""
    if len(text) <= most + MARGIN:
        clean = redact(text)
        return clean[:most], len(clean) <= most
    return _without_end(redact(text[: most + MARGIN]))[:most], False


def _without_end(clean: str) -> str:
    return clean[: max(len(clean) - MARGIN, 0)]


class _Count(NamedTuple):
    values: int
    characters: int
    complete: bool


def size(value: Any) -> int:
    """About how many characters of JSON it has."""
    return _count(value, 1_000_000, None, None).characters


def _count(value: Any, most: int, items: int | None, longest: int | None) -> _Count:
    """Values (keys are some) and characters, of the first `items` of each list and object, and of each text `longest`
    characters. Not complete: it stopped at `most` values."""
    values, characters = 0, -1
    stack: list[Iterator[Any]] = [iter((value,))]
    while stack:
        for node in stack[-1]:
            if values == most:
                return _Count(values, characters, False)
            values += 1
            if isinstance(node, str):
                characters += 3 + (len(node) if longest is None else min(len(node), longest))
            elif isinstance(node, dict | list | tuple):
                characters += 2 if node else 3
                stack.append(_inside(node, items))
                break
            else:
                characters += 1 + len(str(node))
        else:
            stack.pop()
    return _Count(values, max(characters, 0), True)


def _inside(node: dict[Any, Any] | Iterable[Any], items: int | None) -> Iterator[Any]:
    if isinstance(node, dict):
        return chain.from_iterable(islice(node.items(), items))
    return islice(node, items)


class _Copy:
    """Copies without secrets, until `values` or `characters` are used up."""

    def __init__(self, redact: Redaction, items: int | None, longest: int, values: int, characters: int) -> None:
        self.values = values
        self.characters = characters
        self._redact = redact
        self._items = items
        self._longest = longest
        self._known: dict[str, str] = {}
        self._secretive: dict[str, bool] = {}

    def of(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, list | tuple):
            return self._list(value, depth)
        self.values -= 1
        return value if value is None or isinstance(value, bool | int | float) else self._text(str(value))

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        self.values -= 1
        made: list[Any] = []
        for inner in islice(value, self._items if depth < _DEEPEST else 0):
            if self.values <= 0:
                break
            made.append(self.of(inner, depth + 1))
        if len(made) == len(value):
            return made
        cut = CutList(made)
        cut.of = len(value)
        return cut

    def _object(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        self.values -= 1
        made: dict[str, Any] = {}
        seen = 0
        for key, inner in islice(value.items(), self._items if depth < _DEEPEST else 0):
            if self.values <= 0:
                break
            seen += 1
            name = self._text(str(key))
            clean = self._text(inner, str(key)) if isinstance(inner, str) else self.of(inner, depth + 1)
            made[f"{name}…" if isinstance(name, CutText) else name] = clean
        if seen == len(value):
            return made
        cut = CutDict(made)
        cut.of = len(value)
        return cut

    def _text(self, text: str, key: str = "") -> str:
        """`key` is what the text stands under, which may say that it is secret."""
        self.values -= 1
        looked = len(text) if len(text) <= self._longest else self._longest
        looked = max(min(looked, self.characters), 0)
        self.characters -= looked
        if looked == len(text):
            return self._clean(text, key)
        clean = self._clean(text[:looked], key)
        cut = CutText(clean if clean == HIDDEN else _without_end(clean))
        cut.of = len(text)
        return cut

    def _clean(self, text: str, key: str) -> str:
        if key and self._says_secret(key):
            (clean,) = self._redact.deep({key: text}).values()
            return str(clean)
        if len(text) > _SHORT:
            return self._redact(text)
        if text not in self._known:
            self._known[text] = self._redact(text)
        return self._known[text]

    def _says_secret(self, key: str) -> bool:
        if len(key) > LONGEST_KEY:
            return False
        if key not in self._secretive:
            (tried,) = self._redact.deep({key: "?" * SHORTEST}).values()
            self._secretive[key] = tried == HIDDEN
        return self._secretive[key]
