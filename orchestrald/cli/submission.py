"""What has become of an input, and which interaction is to be followed now?

Where a thread is given its policy decides, so that an input may start, wait, join what runs, answer what waits, or be
refused (then the daemon's refusal says why).
"""

from __future__ import annotations

from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.client import Client

NO_SEQ_IS_HIGHER = 2**52


def newest_seq(client: Client) -> int:
    """The number of the last event that there is: what follows from the next call comes after it."""
    return int(client.call("events.list", after_seq=NO_SEQ_IS_HIGHER, limit=1)["last_seq"])


def submit(client: Client, request: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What the daemon answers, and the event after which it is told what follows.

    An input to a thread may reach an interaction with a past, which was told when it happened.
    """
    after = newest_seq(client) if request.get("thread_id") else 0
    return client.call("interaction.submit", **request), after


def became(client: Client, submitted: dict[str, Any]) -> str:
    """One line that says it, empty when it simply started."""
    interaction_id = str(submitted["interaction_id"])
    match submitted.get("disposition"):
        case "queued":
            return queued(client, interaction_id)
        case "merged":
            return f"joined {safe(interaction_id)}, for its next planning round"
        case "answered":
            return f"answered step {safe(submitted.get('step_id', ''))} of {safe(interaction_id)}"
        case _:
            return ""


def queued(client: Client, interaction_id: str) -> str:
    """Behind what it waits, as it was when it was queued."""
    page = client.call("events.list", interaction_id=interaction_id, types=["interaction.queued"], limit=1)
    data = page["events"][0]["data"] if page["events"] else {}
    behind = [safe(each) for each in data.get("behind") or []]
    if cancels := [safe(each) for each in data.get("interrupts") or []]:
        return f"starts when {', '.join(cancels)} is gone, which is being cancelled for it"
    if not behind:
        return "queued"
    more = f" and {len(behind) - 1} before that" if len(behind) > 1 else ""
    return f"queued behind {behind[-1]}{more}"
