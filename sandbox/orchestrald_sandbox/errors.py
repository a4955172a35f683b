"""What can the boundary say when it will not let a command start?

Three answers, by who must act. Nothing here is ever turned into "then run it without".
"""

from __future__ import annotations


class SandboxError(Exception):
    """The command was not started, and nothing was left behind."""


class PolicyError(SandboxError, ValueError):
    """A setting, a root or a request is not acceptable: whoever wrote it must change it."""


class CommandError(SandboxError):
    """A plugin's command cannot run as written. The text names the missing or unusable file,
    because `execve` says ENOENT both for a missing program and for a missing interpreter."""


class Unavailable(SandboxError):
    """This machine cannot confine anything (now). `reason` says why, `hint` what an administrator can do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(f"{reason}. {hint}" if hint else reason)
        self.reason = reason
        self.hint = hint
