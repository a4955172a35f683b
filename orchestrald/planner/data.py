"""How is what a stranger says put into a prompt, so that it stays data?

As JSON between `<data source="...">` and `</data>`, in which every `<` is written `\\u003c`: nothing inside can end the
mark, begin another, or look like a heading of ours on a line of its own. Secrets are hidden before anything is cut,
for half a secret is no longer recognized as one.
"""

import json
import re
from typing import Any

from orchestrald.core.redaction import Redaction

_SOURCE = re.compile(r"[^A-Za-z0-9_. -]")


def written(value: Any) -> str:
    """Compact JSON on one line, without any `<`. What JSON cannot carry is written as Python would."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace").decode().replace("<", "\\u003c")


def marked(source: str, *texts: str) -> str:
    """Texts that `written` has made, one a line, as data of this source."""
    lines = "\n".join(texts)
    return f'<data source="{_SOURCE.sub("_", source)}">\n{lines}\n</data>'


class Marking:
    """`mark("steps", value)` is the value as data; `mark.clean(value)` is it without its secrets, still to be cut."""

    def __init__(self, redact: Redaction) -> None:
        self._redact = redact

    def clean(self, value: Any) -> Any:
        return self._redact.deep(value)

    def __call__(self, source: str, value: Any) -> str:
        return marked(source, written(self.clean(value)))
