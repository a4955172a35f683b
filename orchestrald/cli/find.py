"""Which interaction does a person mean, or which thread?

Names may be cut, and may lack what they all begin with: `int_01m8`, `01m8` and the whole name mean the same.
"""

from __future__ import annotations

from orchestrald.cli.command import BadInput
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrald.client import Client

WHOLE = 30
"""How long the daemon's own names are: there is nothing to complete then."""


def find_interaction(client: Client, word: str) -> str:
    """The id: `word` itself, the only recent one that starts with it, or the newest when `word` is empty.

    Raises BadInput when there is none at all, or when several start that way. A word that fits none of the recent ones
    is given back as it is: the daemon knows older ones.
    """
    if not word:
        newest = client.call("interaction.list", limit=1)["interactions"]
        if not newest:
            raise BadInput("There is no interaction yet.", "orchestral run --help shows how to begin one.")
        return str(newest[0]["interaction_id"])
    if word.startswith("int_") and len(word) == WHOLE:
        return word
    known = client.call("interaction.list", limit=500)["interactions"]
    return _only(word, "int_", [str(row["interaction_id"]) for row in known], "interactions")


def find_thread(client: Client, word: str) -> str:
    """The same for a thread, archived ones included."""
    if word.startswith("thr_") and len(word) == WHOLE:
        return word
    known = client.call("thread.list", limit=500, archived=True)["threads"]
    return _only(word, "thr_", [str(row["thread_id"]) for row in known], "threads")


def _only(word: str, prefix: str, known: list[str], what: str) -> str:
    close = [one for one in known if one.startswith((word, prefix + word))]
    if word in close or not close:
        return word
    if len(close) > 1:
        raise BadInput(f"{len(close)} {what} start with {safe(word)}.", "\n".join(safe(one) for one in close[:5]))
    return close[0]
