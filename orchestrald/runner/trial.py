"""What becomes of a command under the policy of an action?

Only where something confines it. In mode none, or as a part of the daemon, whoever may use the socket could otherwise
run anything as the daemon's user; as it is they can run what the plugins are.
"""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrald.actions import LoadedAction
from orchestrald.errors import WrongState
from orchestrald.hookspecs import ActionError
from orchestrald.protocol.foreign_text import plain
from orchestrald.runner.base import Violation
from orchestrald.runner.confine import Confiner
from orchestrald.runner.process import Bounds
from orchestrald.runner.subject import TRUSTED, Subject, Subjects
from orchestrald.runner.verdict import Finished

MOST_OUTPUT = 64 << 10
"""Bytes of stdout, and of stderr, that are kept: it is for looking, not for work."""

_log = logging.getLogger(__name__)


async def try_command(
    confiner: Confiner, subjects: Subjects, action: LoadedAction, argv: Sequence[str], workspace: str, seconds: float
) -> dict[str, Any]:
    """As PROTOCOL.md has it for `sandbox.try`. Raises WrongState and SandboxUnavailable.

    It is logged and not journaled: the journal holds what became of interactions, and this is part of none; there is
    nothing to go on with after a crash.
    """
    name = action.spec.name
    seen: list[Violation] = []
    told: dict[str, Any] = {"action": name}
    try:
        async with subjects.folder(action) as folder:
            subject = subjects.of(action, folder, workspace)
            told |= _ended(await _run(confiner, subject, argv, seconds, seen))
    except ActionError as error:
        told["error"] = {"code": error.code, "message": str(error)}
    told["violations"] = [
        {"kind": each.kind, "evidence": each.evidence, "certain": each.certain}
        | ({"path": each.path} if each.path else {})
        for each in seen
    ]
    _log.info("tried under the policy of %s: %s", name, _summary(told))
    return told


async def _run(
    confiner: Confiner, subject: Subject, argv: Sequence[str], seconds: float, seen: list[Violation]
) -> Finished:
    name = subject.action.spec.name
    if subject.command is None:
        raise WrongState(f"Nothing can be tried under {name}. {TRUSTED}")
    if subject.used.mode == "none":
        raise WrongState(
            f"Nothing can be tried under {name}: its mode is none, so nothing would be confined.",
            hint="Run the command in a terminal, as the daemon's user: that is the same.",
        )
    _log.info("%s is tried under the policy of %s", plain(shlex.join(argv), 500), name)
    own = () if subject.external is None else subject.command.argv
    return await confiner.run(
        replace(subject.command, argv=argv), Bounds.for_reading(seconds, MOST_OUTPUT), seen.append, besides=own
    )


def _ended(finished: Finished) -> dict[str, Any]:
    ended = finished.ended
    told: dict[str, Any] = {
        "backend": finished.backend,
        "stdout": ended.stdout.value().decode("utf-8", "replace"),
        "stderr": ended.stderr.value().decode("utf-8", "replace"),
        "stdout_truncated": ended.stdout.truncated,
        "stderr_truncated": ended.stderr.truncated,
        "timed_out": finished.timed_out,
    }
    return told if finished.timed_out else told | {"status": finished.shell_status}


def _summary(told: Mapping[str, Any]) -> str:
    if "error" in told:
        return plain(told["error"]["message"], 500)
    ended = "its time was up" if told["timed_out"] else f"status {told['status']}"
    return "; ".join((ended, *(each["kind"] for each in told["violations"])))
