"""What fits into a model's window, and how is the window divided?

Everything here counts in tokens as `models.base.estimate` does, which is rather too many. The same input is always cut
in the same place: a prompt must be the same after a restart.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from orchestrald.errors import PromptTooLong
from orchestrald.models.base import estimate
from orchestrald.planner.data import Marking, written
from orchestrald.planner.glimpse import CutDict, CutList, CutText, size

LONGEST_ANSWER = 4096

_SPARE = 64
"""For what an endpoint's chat template puts around the messages."""

_CUTS = ((4000, 200), (1500, 80), (600, 40), (250, 20), (100, 10), (40, 5), (20, 2))
"""Characters of a text and items of a list or object that are kept, from the mildest cut to the harshest."""


_MOST_IN_A_TOKEN = 4
"""Characters: what has more of them cannot fit."""


class Part(NamedTuple):
    """A part of a message. `make` gets tokens, and returns a text that has no more of them."""

    share: float
    make: Callable[[int], str]


class Division(NamedTuple):
    """`answer` is left free for the answer, `room` is what the fixed text leaves for all the rest."""

    answer: int
    room: int


def divide(window: int, fixed: str, longest_answer: int = LONGEST_ANSWER) -> Division:
    """Raises PromptTooLong when next to nothing would be left."""
    answer = min(longest_answer, window // 5)
    room = window - answer - estimate(fixed) - _SPARE
    if room < window // 8:
        raise PromptTooLong(f"A window of {window} tokens is too small to plan in: the rules alone take most of it.")
    return Division(answer, room)


def fit(room: int, parts: Sequence[Part]) -> list[str]:
    """The texts of the parts, which together have at most `room` tokens. What a part leaves of its share, the parts
    behind it may use."""
    texts: list[str] = []
    for position, part in enumerate(parts):
        shares = sum(each.share for each in parts[position:])
        text = part.make(int(room * part.share / shares)) if room > 0 else ""
        room -= estimate(text)
        texts.append(text)
    return texts


def fitting(texts: Iterable[str], room: int) -> list[str]:
    """As many of the texts as fit, one a line, from the first. No more of them are made than one that does not."""
    kept: list[str] = []
    for text in texts:
        room -= estimate(text + "\n")
        if room < 0:
            break
        kept.append(text)
    return kept


def clipped(text: str, room: int) -> str:
    """The beginning of the text that fits."""
    while text and (cost := estimate(text)) > room:
        text = text[: max(min(len(text) * room // cost, len(text) - 1), 0)]
    return text


def shortened(value: Any, room: int, mark: Marking) -> tuple[Any, str]:
    """The value without its secrets, cut until its JSON fits, and how much of it is left: `300 of 9000 characters`;
    empty: all of it. Takes a bounded time, whatever the value is.

    Texts lose their end, lists and objects their last items, and say so where they were cut.
    """
    seen = mark.glimpse(value, _MOST_IN_A_TOKEN * room)
    if seen.whole and estimate(written(seen.value)) <= room:
        return seen.value, ""
    whole = f"{'' if seen.counted else 'more than '}{seen.size} characters"
    for characters, items in _CUTS:
        cut = _cut(seen.value, characters, items)
        if estimate(written(cut)) <= room:
            return cut, f"{size(cut)} of {whole}"
    head = written(seen.value)[: max(room, 0)]  # a character may take three bytes, and a quote an escape
    while head and estimate(written(head)) > room:
        head = head[: len(head) // 2]
    return head, f"{len(head)} of {whole}"


def _cut(value: Any, characters: int, items: int) -> Any:
    if isinstance(value, str):
        whole = value.of if isinstance(value, CutText) else len(value)
        kept = value[:characters]
        return f"{kept}… ({len(kept)} of {whole} characters)" if len(kept) < whole else value
    if isinstance(value, list):
        whole = value.of if isinstance(value, CutList) else len(value)
        some = [_cut(item, characters, items) for item in value[:items]]
        return [*some, f"… ({len(some)} of {whole} items)"] if len(some) < whole else some
    if isinstance(value, dict):
        whole = value.of if isinstance(value, CutDict) else len(value)
        named = {key: _cut(inner, characters, items) for key, inner in islice(value.items(), items)}
        return {**named, "…": f"{len(named)} of {whole} keys"} if len(named) < whole else named
    return value
