"""What may an action that runs inside the daemon not touch, although the daemon could?

A program is kept from these by its sandbox. An in-process action has the daemon's own hands: without this, a plan that
works in a home folder could write the daemon's configuration, drop a plugin, or leave a git hook.
"""

import fnmatch
import os
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrald.runner.confine import PROTECTED


@dataclass(frozen=True, slots=True)
class Untouchable:
    """`own` are the daemon's folders, by their real paths: state, configuration, socket, plugins."""

    own: tuple[str, ...] = ()

    @classmethod
    def of(cls, folders: Iterable[str]) -> "Untouchable":
        return cls(tuple(dict.fromkeys(os.path.realpath(folder) for folder in folders)))

    def refusal(self, root: str, path: str, *, write: bool) -> str:
        """Why `path` beneath `root` may not be touched, in words; empty when it may.

        Protected names count beneath the root alone: somebody may well work in a folder whose own path has one.
        """
        real = os.path.normpath(os.path.join(os.path.realpath(root), path))
        if any(real == folder or real.startswith(folder + "/") for folder in self.own):
            return f"{real} belongs to the daemon itself"
        parts = os.path.normpath(path).split("/")
        name = next((part for part in parts if any(fnmatch.fnmatch(part, known) for known in PROTECTED)), "")
        if write and name:
            return f"{name} is protected: what it holds is executed or trusted by other programs"
        return ""
