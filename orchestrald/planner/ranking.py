"""Which of many described things do these words speak of?

BM25 over the words of each name and description; a word of the name counts three times. Pure, and ties are broken by
name, so that the same catalog and the same words always give the same order.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")

_SATURATION = 1.2
_LENGTH = 0.75
_NAME = 3
_QUERY = 30_000
"""Characters of a query that count. An intent may be megabytes."""


def words(text: str) -> list[str]:
    """The words of a text or a name (`fileRead`, `files.read_all`), without a plural's s."""
    found = _WORD.findall(_HUMP.sub(" ", text).casefold())
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in found]


def rank(described: Mapping[str, str], query: str) -> list[str]:
    """All names, the likeliest first. What shares no word with the query comes last, by name."""
    counts = {name: _counted(name, text) for name, text in described.items()}
    average = sum(count.total() for count in counts.values()) / max(len(counts), 1) or 1.0
    asked = sorted(set(words(query[:_QUERY])))
    holding = {word: sum(word in count for count in counts.values()) for word in asked}
    weight = {word: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for word, n in holding.items() if n}

    def score(name: str) -> float:
        count = counts[name]
        length = _SATURATION * (1 - _LENGTH + _LENGTH * count.total() / average)
        return sum(w * count[word] * (_SATURATION + 1) / (count[word] + length) for word, w in weight.items())

    return sorted(counts, key=lambda name: (-score(name), name))


def _counted(name: str, text: str) -> Counter[str]:
    count = Counter(words(text))
    for word in words(name):
        count[word] += _NAME
    return count
