"""How is what a stranger says put into a prompt, so that it stays data?

As JSON between `<data source="...">` and `</data>`, in which every `<` is written `\\u003c`: nothing inside can end the
mark, begin another, or look like a heading of ours on a line of its own. Secrets are hidden before anything is cut,
for half a secret is no longer recognized as one.
"""

import json
import re
from typing import Any

from orchestrald.core.redaction import Redaction
from orchestrald.models.base import storable
from orchestrald.planner.glimpse import Allowance, Glimpse, beginning, glimpse

_SOURCE = re.compile(r"[^A-Za-z0-9_. -]")


def written(value: Any) -> str:
    """Compact JSON on one line, without any `<`. What JSON cannot carry is written as Python would."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return storable(text).replace("<", "\\u003c")


def marked(source: str, *texts: str) -> str:
    """Texts that `written` has made, one a line, as data of this source."""
    lines = "\n".join(texts)
    return f'<data source="{_SOURCE.sub("_", source)}">\n{lines}\n</data>'


class Marking:
    """What hides secrets, and bounds what is looked at. Whoever composes a part of a prompt begins with `anew`, so that
    the part depends on nothing that was composed before."""

    def __init__(self, redact: Redaction) -> None:
        self._redact = redact
        self._left = Allowance()

    def anew(self) -> "Marking":
        return Marking(self._redact)

    def clean(self, value: Any) -> Any:
        """A small value without its secrets, still to be cut."""
        return self._redact.deep(value)

    def glimpse(self, value: Any, most: int) -> Glimpse:
        """As much of any value as may be looked at, or all of it if it has at most `most` characters."""
        return glimpse(value, most, self._left, self._redact)

    def beginning(self, text: str, most: int) -> tuple[str, bool]:
        """At most `most` characters of a text without its secrets, and whether that is all of it."""
        return beginning(text, most, self._redact)
