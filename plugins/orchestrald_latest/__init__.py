"""What does a concurrency policy of one's own look like? `latest`: what runs is finished, then comes the newest input.

For inputs that make the earlier ones pointless, such as "build what is on disk now" after every save.
"""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrald.hookspecs import Decision, Policy, Queue, Situation, hookimpl


@hookimpl
def register_policies(register: Callable[[str, Policy], None], settings: Mapping[str, Any]) -> None:
    register("latest", latest)


def latest(situation: Situation) -> Decision:
    """Behind what runs, in the place of whatever else has been waiting there."""
    return Queue(cancel=situation.queued)
