"""How did a program's run go, in the end?

Told from bwrap's status, the exit code, the last words and what the kernel counted: no one of them is enough. bwrap's
own exit code is 1 when the set-up failed, and 1 when the program ended with 1.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orchestrald_sandbox as sandbox
from orchestrald.hookspecs import ActionError
from orchestrald.protocol.foreign_text import plain, tail
from orchestrald.runner.base import Violation
from orchestrald.runner.enclosed import Used
from orchestrald.runner.grants import Command
from orchestrald.runner.process import Bounds, Ended
from orchestrald.runner.violations import of_ended

OnViolation = Callable[[Violation], None]

_SHELL_SIGNALS = range(129, 129 + 64)
_FATAL = {"protected_create": "protected_create", "disk_growth": "disk_growth", "pids": "too_many_processes"}
"""Violations that make a step fail whatever the program said, and the code of that failure."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that was executed. `status` is its exit status, or minus the signal that killed it.

    `backend` is `none` or the name of what confined it. `oom`: it, or one of its processes, was killed for memory.
    """

    ended: Ended
    status: int
    backend: str
    oom: bool = False

    @property
    def sandboxed(self) -> bool:
        return self.backend != "none"

    @property
    def timed_out(self) -> bool:
        """We ended it, because its time was up or it had said nothing for too long."""
        return self.ended.end in ("timeout", "idle")

    @property
    def shell_status(self) -> int:
        """As a shell tells it: 128 and the number, of a signal."""
        return self.status if self.status >= 0 else 128 - self.status


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a program: under which policy, and who hears of it."""

    policy: sandbox.Policy
    argv: Sequence[str]
    env: Mapping[str, str]
    host: sandbox.Host | None
    command: Command
    bounds: Bounds
    told: OnViolation
    on_stderr: Callable[[bytes], None] | None

    @property
    def confined(self) -> bool:
        return self.policy.mode is not sandbox.Mode.NONE


def judged(ended: Ended, used: Used, start: Start, planted: Sequence[Violation]) -> Finished | None:
    """What bwrap's status, exit code and last words come to. None: the program's file was busy.

    `planted` has been told already, and makes the step fail here.
    """
    seen: list[Violation] = []
    if used.counted.oom:
        seen.append(Violation("oom", "its processes held more memory together than their limit"))
    if used.counted.processes:
        seen.append(Violation("pids", "it was refused a process: it had as many as its limit"))
    if used.disk:
        seen.append(Violation("disk_growth", used.disk))
    for each in seen:
        start.told(each)
    _fail([*planted, *seen], ended)
    if refusal := _not_executed(ended, start):
        if refusal.endswith("Text file busy") and start.host is not None:
            return None
        raise sandbox.CommandError(refusal)
    status = _status_inside(ended) if start.host is not None else ended.returncode
    known = {each.kind for each in seen}
    met = [each for each in of_ended(ended, status, sandboxed=start.confined) if each.kind not in known]
    for each in met:
        start.told(each)
    _fail(met, ended)
    oom = ended.end == "memory" or (used.counted.oom and status == -signal.SIGKILL)
    return Finished(ended, status, sandbox.backend_of(start.policy).value, oom)


def _fail(seen: Sequence[Violation], ended: Ended) -> None:
    for each in seen:
        if each.kind in _FATAL and not (each.kind == "pids" and ended.end != "processes"):
            said = "; ".join(other.evidence for other in seen if other.kind == each.kind)
            raise ActionError(said, code=_FATAL[each.kind])


def _not_executed(ended: Ended, start: Start) -> str:
    """Why the kernel did not execute the program, in words; empty when it did."""
    if ended.end != "exited":
        return ""
    stderr, told = ended.stderr.value(), sandbox.status.read(ended.status)
    if start.host is not None and start.policy.run_as is None:
        # An exit code is missing only if nothing ran inside: no program can say this by itself.
        refused = told.child is not None and told.exit_code is None and stderr.startswith(b"bwrap: execvp")
        return tail(stderr).removeprefix("bwrap: execvp ") if refused else ""
    # Where a program sets the limits and executes the command: in mode none, and as another user. The words could be
    # the command's own, so they are believed once and nothing is run again because of them.
    code = ended.returncode if start.host is None else told.exit_code
    if code in (126, 127) and stderr.startswith(b"prlimit: failed to execute"):
        return tail(stderr).removeprefix("prlimit: ").replace("Text file busy", "it is being written to")
    return ""


def _status_inside(ended: Ended) -> int:
    told = sandbox.status.read(ended.status)
    if ended.end == "exited" and told.child is None:
        raise sandbox.Unavailable(*sandbox.diagnose(tail(ended.stderr.value())))
    if told.exit_code is None:
        # The sandbox was set up and ended without a word: we, somebody or the kernel killed it.
        return min(ended.returncode, 0) or -signal.SIGKILL
    return 128 - told.exit_code if told.exit_code in _SHELL_SIGNALS else told.exit_code


def in_words(made: Sequence[sandbox.protected.Violation]) -> list[Violation]:
    """What was planted, as it is told. Paths are of the program's choice."""
    return [Violation("protected_create", _said(each), path=each.path) for each in made]


def _said(made: sandbox.protected.Violation) -> str:
    path = plain(made.path)
    if made.problem:
        return f"{path} could not be looked through after the run: {plain(made.problem)}"
    where = f"moved to {plain(made.moved_to)}" if made.moved_to else "it could not be moved away, look at it"
    return f"{path} was created; {where}"
