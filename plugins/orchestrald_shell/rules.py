"""May this command line run, must a person be asked, or is it refused?"""

from orchestrald.hookspecs import ActionError
from orchestrald_shell.settings import Settings
from orchestrald_shell.words import Invocation, Reading

_DESTRUCTIVE = frozenset({"rm", "rmdir", "mv", "chmod", "chown", "truncate", "dd", "mkfs", "fdisk", "shred", "unlink"})
_GIT = frozenset({"reset", "clean", "checkout", "restore"})


def refuse_unless_allowed(settings: Settings, reading: Reading) -> None:
    """Raises ActionError `blocked` or `not_allowed`. An allow-list refuses what cannot be read with certainty."""
    blocked = {name.lower() for name in settings.blocked_commands}
    allowed = {name.lower() for name in settings.allowed_commands}
    for invocation in reading.invocations:
        if invocation.name in blocked:
            raise ActionError(f"the operator has blocked the command {invocation.name}", code="blocked")
    if not allowed:
        return
    if not reading.certain:
        raise ActionError(
            "the operator allows certain commands only, and which ones this line starts cannot be told",
            code="not_allowed",
        )
    for invocation in reading.invocations:
        if invocation.name not in allowed:
            raise ActionError(
                f"the operator allows only {', '.join(sorted(allowed))}, and not {invocation.name}", code="not_allowed"
            )


def why_ask(reading: Reading) -> str:
    """Why a person must be asked first; empty when there is no reason."""
    for invocation in reading.invocations:
        if invocation.name in _DESTRUCTIVE or invocation.name.startswith("mkfs."):
            return f"{invocation.name} can destroy files"
        if invocation.name == "git" and (command := _git_command(invocation)) in _GIT:
            return f"git {command} can discard work"
        if invocation.name == "find" and "-delete" in invocation.arguments:
            return "find -delete can destroy files"
    return "" if reading.certain else "which programs this line starts cannot be told"


def _git_command(invocation: Invocation) -> str:
    """The first word that is a command: options may come before it, some with a value (`git -C folder reset`)."""
    return next((word for word in invocation.arguments if word in _GIT), "")
