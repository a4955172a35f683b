"""Which profile does macOS's sandbox-exec get for a policy?

Not built yet: macOS comes next. Until then a policy for it is refused, so a plugin that must be confined
does not run on macOS at all.
"""

from __future__ import annotations

from typing import NoReturn

from .errors import Unavailable
from .policy import Policy


def profile(policy: Policy) -> NoReturn:
    """Unavailable, always."""
    raise Unavailable(
        "the macOS sandbox is not built yet",
        f"Plugins of mode {policy.mode.value} cannot run here; an operator can give a trusted one mode none.",
    )
