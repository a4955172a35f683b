"""Which interaction does a person mean?"""

from __future__ import annotations

from orchestrald.cli.command import BadInput
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrald.client import Client


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
    known = [str(row["interaction_id"]) for row in client.call("interaction.list", limit=500)["interactions"]]
    close = [one for one in known if one.startswith(word)]
    if word in close or not close:
        return word
    if len(close) > 1:
        raise BadInput(f"{len(close)} interactions start with {safe(word)}.", "\n".join(safe(one) for one in close[:5]))
    return close[0]
