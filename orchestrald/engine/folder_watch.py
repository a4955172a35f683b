"""Which files of a watched folder have come to rest and had no firing yet?

State is polled, events are not interpreted: a watch misses renames, goes deaf when its folder is replaced, and never
knows whether a copy is complete. A file counts once its version has been the same in looks that lie `settle` apart.
"""

from collections.abc import Mapping
from typing import NamedTuple

from orchestrald.core.triggers import Folder
from orchestrald.engine.folder_look import Look

MOST_AT_ONCE = 100
"""Files that fire after one look; the others after the next ones. Five thousand photographs are no emergency."""


class Found(NamedTuple):
    """`ready` files are to fire, path and version, in the order of their names.

    `settled` is to be noted without a firing: a missing version forgets a file that is gone.
    """

    ready: tuple[tuple[str, str], ...]
    settled: Mapping[str, str | None]


class Watch:
    """What is known of one folder. `seen` is the version of each file that was dealt with, as it is durable."""

    def __init__(self, trigger: Folder, seen: Mapping[str, str]) -> None:
        self.trigger = trigger
        self.seen = dict(seen)
        self._resting: dict[str, tuple[str, float]] = {}

    def note(self, seen: Mapping[str, str | None]) -> None:
        """These are durable now."""
        for path, version in seen.items():
            if version is None:
                self.seen.pop(path, None)
            else:
                self.seen[path] = version

    def judge(self, look: Look, now: float) -> Found:
        """What to do after a look at `now`, in seconds on any clock that is never set back."""
        known = set(self.seen.values())
        settled: dict[str, str | None] = {}
        resting: dict[str, tuple[str, float]] = {}
        ready: list[tuple[str, str]] = []
        for path in sorted(look.files):
            version = look.files[path]
            if self.seen.get(path) == version:
                continue
            if version in known:  # a new name for what was dealt with is no new version
                settled[path] = version
                continue
            before, since = self._resting.get(path, ("", now))
            resting[path] = (version, since if before == version else now)
            if now - resting[path][1] >= self.trigger.settle and len(ready) < MOST_AT_ONCE:
                ready.append((path, version))
        if look.whole:
            settled |= dict.fromkeys(self.seen.keys() - look.files.keys())
        self._resting = resting
        return Found(tuple(ready), settled)
