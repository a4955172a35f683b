"""What does the way in which a program ended say about the bounds it ran into?

bwrap reports nothing and the kernel answers with an errno, so some of this is inference: `certain` tells which.
"""

import re
import signal

from orchestrald.protocol.action import signal_name
from orchestrald.protocol.foreign_text import plain
from orchestrald.runner.base import Violation
from orchestrald.runner.process import Ended

_BY_END = {
    "timeout": ("timeout", "it ran past its deadline"),
    "idle": ("idle", "it said nothing for too long"),
    "stdout_limit": ("output_limit", "it wrote more to stdout than its limit"),
    "stderr_limit": ("output_limit", "it wrote more to stderr than its limit"),
    "memory": ("oom", "its processes held more memory together than their limit"),
    "processes": ("pids", "it had more processes than its limit"),
    "disk": ("disk_growth", "it wrote more than its limit"),
}
_BY_SIGNAL: dict[int, tuple[str, str]] = {
    signal.SIGXCPU: ("cpu_limit", "it used up its processor time"),
    signal.SIGXFSZ: ("fsize", "it wrote a file past the limit"),
}
_DENIALS = re.compile(rb"operation not permitted|permission denied|read-only file system|seccomp", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w.])/[^\s'\":,;()]+")
_SNIPPET = 512


def of_ended(ended: Ended, status: int, *, sandboxed: bool) -> list[Violation]:
    """`status` is the program's own: an exit status, or minus a signal. Empty when nothing speaks for a violation."""
    if ended.end != "exited":
        kind, evidence = _BY_END[ended.end]
        return [Violation(kind, evidence)]
    if status < 0:
        return [_of_signal(-status)]
    if sandboxed and status > 0:
        return _suspected(ended.stderr.value())
    return []


def _of_signal(number: int) -> Violation:
    known = _BY_SIGNAL.get(number)
    if known is not None:
        return Violation(known[0], known[1])
    return Violation("killed_signal", f"it was killed by {signal_name(number)}")


def _suspected(stderr: bytes) -> list[Violation]:
    """A failing program that complains of a refusal has probably met the sandbox; it may as well be lying."""
    match = _DENIALS.search(stderr)
    if match is None:
        return []
    start = stderr.rfind(b"\n", 0, match.start()) + 1
    line = stderr[start : start + _SNIPPET].split(b"\n", 1)[0]
    told = plain(line.decode("utf-8", "replace"), _SNIPPET)
    path = _PATH.search(told)
    return [Violation("suspected_denial", told, certain=False, path=path[0] if path else "")]
