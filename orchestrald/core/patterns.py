"""How long may a text be before matching it against this regular expression could freeze us?

Python's matcher backtracks and holds the GIL: `^(a+)+$` against 34 letters ran past 4 seconds. Patterns come from
strangers (a plugin's schema, a model's answer), so each is measured before it is used: the cost of the worst text of
length n is estimated as 2^bits * n^exponent, and the text is kept short enough for a fixed budget.

The estimate is a fold from the right over the parsed pattern. A repeat multiplies the cost only where it could give
characters back to what follows ("loose"): the two can match the same character. A repeat of something that itself
varies is exponential, unless each round is marked by a character that its varying parts cannot match: `(-[a-z]+)*`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from math import inf, log2
from re import _constants as op  # type: ignore[attr-defined]  # the parser has no public name; a test pins its shape
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

MAX_PATTERN = 1_000
SHORTEST_USEFUL = 64
_BUDGET_BITS = 24  # about 0.2 s of matching
_MAX_UNROLLED = 20
_MAX_WORK = 5_000
_TYPICAL = [chr(c) for c in range(128)] + list("\x85\xa0éÉßλ٣中\u2003\U0001f600")

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}


class Dangerous(ValueError):
    """The pattern is not used; the message says why."""


class _Rest(NamedTuple):
    """What follows some point of a pattern: the characters it can begin with, and what matching it costs.

    `first` is empty where only the end of the text fits. `open_end` means that nothing after this point can fail.
    """

    first: frozenset[str]
    exponent: int = 0
    bits: float = 0.0
    open_end: bool = False


@lru_cache(maxsize=1024)
def longest_text(pattern: str) -> int:
    """How many characters a text may have to be matched against `pattern` safely. Raises Dangerous, with the reason."""
    if len(pattern) > MAX_PATTERN:
        raise Dangerous(f"the pattern is longer than {MAX_PATTERN} characters")
    try:
        re.compile(pattern)
        tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as e:
        raise Dangerous(f"the pattern is not a regular expression: {e}") from None
    items = list(tree)
    walk = _Walk(_alphabet(items), bool(tree.state.flags & re.IGNORECASE) or "(?i" in pattern)
    try:
        rest = walk.sequence(items, _Rest(frozenset(), open_end=True))
    except RecursionError:
        raise Dangerous("the pattern is nested too deep") from None
    anchored = bool(items) and items[0][0] is op.AT and items[0][1] in (op.AT_BEGINNING, op.AT_BEGINNING_STRING)
    exponent = rest.exponent + (0 if anchored else 1)
    left = _BUDGET_BITS - rest.bits
    longest = int(2 ** min(left / max(exponent, 1), 40))
    if left < 0 or longest < SHORTEST_USEFUL:
        raise Dangerous("matching it could take for ever; let neighbouring repeats match different characters")
    return longest


class _Walk:
    def __init__(self, alphabet: frozenset[str], ignore_case: bool) -> None:
        self._alphabet = alphabet
        self._ignore_case = ignore_case
        self._work = 0

    def sequence(self, items: Iterable[Any], rest: _Rest) -> _Rest:
        for kind, arg in reversed(list(items)):
            rest = self._before(kind, arg, rest)
        return rest

    def _before(self, kind: Any, arg: Any, rest: _Rest) -> _Rest:
        self._work += 1
        if self._work > _MAX_WORK:
            raise Dangerous("the pattern is too involved to be judged")
        if kind in _REPEATS:
            return self._repeat(arg[0], arg[1], arg[2], rest)
        if kind is op.SUBPATTERN:
            return self.sequence(arg[3], rest)
        if kind is op.ATOMIC_GROUP:
            return self.sequence(arg, rest)
        if kind is op.BRANCH:
            return self._branch(arg[1], rest)
        if kind in (op.ASSERT, op.ASSERT_NOT):
            inside = self.sequence(arg[1], _Rest(frozenset(), open_end=True))
            return _Rest(rest.first, max(rest.exponent, inside.exponent), max(rest.bits, inside.bits))
        if kind is op.AT:
            at_end = arg in (op.AT_END, op.AT_END_STRING)
            return rest._replace(first=frozenset() if at_end else rest.first, open_end=False)
        if kind in (op.GROUPREF, op.GROUPREF_EXISTS):
            raise Dangerous("the pattern has a back-reference")
        return rest._replace(first=self.characters(kind, arg), open_end=False)

    def _branch(self, branches: list[Any], rest: _Rest) -> _Rest:
        ways = [self.sequence(branch, rest) for branch in branches]
        ambiguous = _overlap([way.first for way in ways])
        return _Rest(
            frozenset().union(*(way.first for way in ways)),
            max(way.exponent for way in ways),
            max(way.bits for way in ways) + (log2(len(ways)) if ambiguous else 0),
            all(way.open_end for way in ways),
        )

    def _repeat(self, low: int, high: Any, body: Any, rest: _Rest) -> _Rest:
        most = inf if high is op.MAXREPEAT else int(high)
        varies = self._varies(body)
        if most <= 1 or (varies and most <= _MAX_UNROLLED):
            return self._unrolled(low, int(most), body, rest)
        if varies:
            self._require_marked_rounds(body)
        first = self.sequence(body, rest).first
        gives_back = self._all_characters(body) if varies else first
        loose = bool(gives_back & rest.first)
        follow = first | rest.first if low == 0 else first
        if most is inf or varies:
            cost = rest.exponent if rest.open_end else (rest.exponent + 1 if loose else max(1, rest.exponent))
            return _Rest(follow, cost, rest.bits, rest.open_end and low == 0)
        bits = rest.bits + (log2(most - low + 1) if loose else 0)
        return _Rest(follow, rest.exponent, bits, rest.open_end and low == 0)

    def _unrolled(self, low: int, most: int, body: Any, rest: _Rest) -> _Rest:
        for round_ in range(most, 0, -1):
            taken = self.sequence(body, rest)
            if round_ > low:
                bits = 1 if taken.first & rest.first else 0
                taken = _Rest(
                    taken.first | rest.first,
                    max(taken.exponent, rest.exponent),
                    max(taken.bits, rest.bits) + bits,
                    rest.open_end,
                )
            rest = taken
        return rest

    def _require_marked_rounds(self, body: Any) -> None:
        items = _unwrapped(body)
        varying = frozenset[str]().union(*(self._all_characters([item]) for item in items if self._varies([item])))
        marks = [self.characters(*item) for item in items if not _composite(item[0]) and item[0] is not op.AT]
        inside = self.sequence(items, _Rest(self.sequence(items, _Rest(frozenset())).first))
        if not any(mark.isdisjoint(varying) for mark in marks) or inside.exponent > 1 or inside.bits:
            raise Dangerous("a repeat inside a repeat can match the same text in exponentially many ways")

    def _varies(self, items: Any) -> bool:
        """Can this match one text in two ways, or texts of different lengths?"""
        for kind, arg in items:
            if kind in _REPEATS and (arg[0] != arg[1] or self._varies(arg[2])):
                return True
            if kind is op.BRANCH:
                firsts = [self.sequence(branch, _Rest(frozenset())).first for branch in arg[1]]
                if _overlap(firsts) or any(not first for first in firsts) or any(map(self._varies, arg[1])):
                    return True
            if any(self._varies(part) for part in _parts(kind, arg) if kind not in _REPEATS and kind is not op.BRANCH):
                return True
        return False

    def _all_characters(self, items: Any) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for kind, arg in items:
            if _composite(kind):
                found = found.union(*(self._all_characters(part) for part in _parts(kind, arg)))
            elif kind is not op.AT:
                found |= self.characters(kind, arg)
        return found

    def characters(self, kind: Any, arg: Any) -> frozenset[str]:
        """Which characters of the alphabet one item matches; all of them where we cannot tell."""
        return frozenset(c for c in self._alphabet if self._matches(kind, arg, c))

    def _matches(self, kind: Any, arg: Any, char: str) -> bool:
        if self._ignore_case:
            return any(_matches(kind, arg, c) for c in {char, char.lower()[:1], char.upper()[:1]})
        return _matches(kind, arg, char)


def _matches(kind: Any, arg: Any, char: str) -> bool:
    if kind is op.LITERAL:
        return bool(ord(char) == arg)
    if kind is op.NOT_LITERAL:
        return bool(ord(char) != arg)
    if kind is op.RANGE:
        return bool(arg[0] <= ord(char) <= arg[1])
    if kind is op.CATEGORY:
        return re.match(_CATEGORIES[arg], char) is not None
    if kind is op.IN:
        negated = arg[0][0] is op.NEGATE
        return negated != any(_matches(item[0], item[1], char) for item in arg[negated:])
    return True


def _overlap(sets: list[frozenset[str]]) -> bool:
    return sum(map(len, sets)) > len(frozenset().union(*sets))


def _composite(kind: Any) -> bool:
    return kind in (*_REPEATS, op.SUBPATTERN, op.ATOMIC_GROUP, op.BRANCH, op.ASSERT, op.ASSERT_NOT)


def _parts(kind: Any, arg: Any) -> list[Any]:
    if kind in _REPEATS:
        return [arg[2]]
    if kind is op.SUBPATTERN:
        return [arg[3]]
    if kind is op.ATOMIC_GROUP:
        return [arg]
    if kind is op.BRANCH:
        return list(arg[1])
    return [arg[1]] if kind in (op.ASSERT, op.ASSERT_NOT) else []


def _unwrapped(body: Any) -> list[Any]:
    items = list(body)
    while len(items) == 1 and items[0][0] in (op.SUBPATTERN, op.ATOMIC_GROUP):
        items = list(_parts(*items[0])[0])
    return items


def _alphabet(items: list[Any]) -> frozenset[str]:
    """Enough characters to tell any two sets of this pattern apart: typical ones, and both sides of each boundary."""
    codes: set[int] = set()
    pending = list(items)
    while pending:
        kind, arg = pending.pop()
        if kind in (op.LITERAL, op.NOT_LITERAL):
            codes.add(arg)
        elif kind is op.RANGE:
            codes.update(arg)
        elif kind is op.IN:
            pending.extend(arg)
        elif _composite(kind):
            pending.extend(item for part in _parts(kind, arg) for item in part)
    ordered = sorted(codes)
    between = {(a + b) // 2 for a, b in pairwise(ordered)}
    near = {c + d for c in codes for d in (-1, 0, 1)} | between
    return frozenset(_TYPICAL) | {chr(c) for c in near if 0 <= c <= 0x10FFFF}
