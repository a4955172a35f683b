"""Which words start a command under macOS's Seatbelt, and what does it tell?

**Not run on macOS yet**: the words and the profile are held by golden files and by a model of Seatbelt in the
tests. Pure, but for `available`. Three things differ from bwrap for whoever starts the command:

- There is no private /tmp, and the environment shows no other: HOME and TMPDIR must be the run's own folder
  (`environment.base(home=..., temporary=...)`), and so must the working folder where there is no workspace.
- There is no status pipe. Whether the command ran at all is read from the exit code and `diagnose`.
- There are no process and network namespaces. Whoever ends the run sweeps what called setsid, and network proxy
  means a port of this machine, which every program on it can connect to: give each run its own, and a password.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence

from .errors import PolicyError, Unavailable
from .limits import GRACE_SECONDS
from .policy import Limits, Policy
from .seatbelt_names import canonical
from .seatbelt_profile import TAG, profile

__all__ = [
    "EXPECTED", "SANDBOX_EXEC", "available", "canonical", "command", "denials", "diagnose", "log_command",
    "probe_command", "profile", "weaker",
]  # fmt: skip

# By this path only: what a PATH finds may be anybody's.
SANDBOX_EXEC = "/usr/bin/sandbox-exec"
BLOCK = 512  # bytes; the unit of `ulimit -f` in POSIX

# Those of probe.EXPECTED that have a meaning here. `inside.py` must ask some of them in another way: without
# /proc; with EPERM for what is held, a denied read of the canary included; in TMPDIR instead of /tmp; without the
# limits that `shell` does not set.
EXPECTED = (
    "daemon_files_hidden", "root_read_only", "plugin_folder_read_only", "environment_clean", "no_descriptors",
    "limits_set", "network_as_granted", "workspace_as_granted", "scratch_writable", "tmp_writable",
)  # fmt: skip

MOST_DENIALS, LONGEST_DENIAL = 100, 400
DENIAL = re.compile(r"Sandbox: .+?\(\d+\) deny\(\d+\) (?P<operation>[a-z][a-z0-9*-]*)(?: (?P<subject>.*))?", re.DOTALL)

# (what is said, what it means, what to do); the first that matches counts
SAYINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"sandbox_apply: Operation not permitted",
        "the daemon is in a sandbox itself, and macOS does not nest them",
        "Start orchestrald from Terminal or launchd, outside of any sandboxed program.",
    ),
    (
        r"sandbox-exec: .*execvp",
        "the shell that sets the limits could not be executed",
        "Report it, with the version of macOS.",
    ),
    (
        r"ulimit:",
        "a limit could not be set",
        "The daemon's own hard limits (ulimit -Ha) are lower than those of the sandbox: raise them.",
    ),
    (r"sandbox-exec:", "macOS does not accept the sandbox profile", "Report it, with the version of macOS."),
)


def available() -> Unavailable | None:
    """Why nothing can be confined by Seatbelt here; None when it can be tried."""
    if sys.platform != "darwin":
        return Unavailable(f"Seatbelt does not run on {sys.platform}", "It needs macOS.")
    if not os.access(SANDBOX_EXEC, os.X_OK):
        return Unavailable(f"{SANDBOX_EXEC} is not there", "It belongs to macOS; nothing else can take its place.")
    return None


def command(
    policy: Policy,
    argv: Sequence[str],
    *,
    temporary: str,
    tag: str,
    protected: Iterable[str] = (),
    proxy_port: int = 3128,
) -> list[str]:
    """Everything to start `argv` (its first word an absolute path, as from `interpreter.resolve`) under `policy`.

    The other arguments, and the errors, are those of `profile`. No word of it is secret: `ps` shows them all.
    """
    if not argv or not argv[0].startswith("/"):
        raise PolicyError("the command is empty, or its program is not an absolute path")
    text, parameters = profile(policy, temporary=temporary, tag=tag, protected=protected, proxy_port=proxy_port)
    pairs = [word for name, value in parameters.items() for word in ("-D", f"{name}={value}")]
    return [SANDBOX_EXEC, "-p", text, *pairs, "--", *shell(policy.limits), *argv]


def shell(limits: Limits) -> list[str]:
    """The words that set the limits, before the command: macOS has no prlimit(1).

    `&&`, so that nothing runs without its limits. Not set: RLIMIT_AS, which macOS does not enforce, and
    RLIMIT_NPROC, which counts all that the user runs, the desktop included.
    """
    # Soft before hard: a hard limit cannot go below the soft one. A shell that counts in 1024 bytes would allow
    # files of twice the size.
    steps = (
        "ulimit -c 0", f"ulimit -n {limits.open_files}", f"ulimit -f {max(1, limits.file_bytes // BLOCK)}",
        f"ulimit -S -t {limits.cpu_seconds}", f"ulimit -H -t {limits.cpu_seconds + GRACE_SECONDS}", 'exec "$@"',
    )  # fmt: skip
    return ["/bin/sh", "-c", " && ".join(steps), "sh"]


def probe_command() -> list[str]:
    """The cheapest question whether Seatbelt can be applied at all: it exits with 0.

    With one rule that denies something: a profile that only allows has been seen to start within another
    sandbox, where ours is then refused.
    """
    rule = '(version 1)(allow default)(deny file-write* (literal "/made-by-the-probe"))'
    return [SANDBOX_EXEC, "-p", rule, "/usr/bin/true"]


def diagnose(stderr: str, exit_code: int | None = None) -> tuple[str, str]:
    """What the last words mean: (reason, hint). The hint is empty for what is not known.

    Only for a run that has failed: a command can print these words too. sandbox-exec itself exits with 64 to
    71; `exit_code` may be Popen's (-6) or a shell's (134).
    """
    lines = stderr.strip().splitlines()
    last = lines[-1][:300] if lines else ""
    for pattern, reason, hint in SAYINGS:
        said = next((line for line in lines if re.search(pattern, line)), None)
        if said is not None:
            return f"{reason} ({said[:300]})", hint
    if not last and exit_code in (-6, 134):
        told = "the program was aborted as it started: the profile denies what the dynamic linker needs"
        return told, "Report it, with the version of macOS and the program."
    return f"the sandbox did not start: {last or 'it gave no reason'}", ""


def weaker() -> tuple[str, ...]:
    """What holds less than it does on Linux, in words for `doctor`."""
    return (
        "the macOS sandbox has been tested on paper only: we have not run it on macOS yet",
        "there is no process namespace: a descendant that calls setsid is looked for and killed after the run, and "
        "may live until then",
        "total memory is only watched, several times a second; macOS does not enforce an address space limit",
        "the number of processes is not limited: macOS counts all that the user runs",
        "a file can become twice as large as the limit says where /bin/sh counts blocks of 1024 bytes",
        "the temporary folder is on the disk, without a size limit; system calls are not filtered",
        "the names of folders above what is shown, the hardware, the host's name and the versions of macOS are visible",
        "the proxy's port is one of this machine: other programs on it can connect to it too",
        "hard links cannot be made, and protected names cannot be made in the temporary folder either",
    )


def log_command(tag: str) -> list[str]:
    """The words that print each denial of a run as a line of JSON, from now on and until it is ended."""
    if not TAG.fullmatch(tag):  # it stands within a quoted word of the predicate
        raise PolicyError(f"{tag!r} cannot tag a sandbox")
    # Only the kernel's: a command may be able to log a message with our tag in it.
    sender = '((processID == 0 AND senderImagePath CONTAINS "/Sandbox") OR subsystem == "com.apple.sandbox.reporting")'
    predicate = f'{sender} AND eventMessage ENDSWITH "{tag}"'
    return ["/usr/bin/log", "stream", "--style", "ndjson", "--predicate", predicate]


def denials(log_lines: Iterable[str], tag: str) -> list[str]:
    """What a run was denied, as "operation subject", each once and in order; at most 100.

    Lines that are no JSON, or of another run, are passed over. The subject is often a path that the command has
    chosen: control characters in it are escaped, and it is cut.
    """
    found: dict[str, None] = {}
    for line in log_lines:
        if len(found) >= MOST_DENIALS:
            break
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        message = record.get("eventMessage") if isinstance(record, dict) else None
        if not isinstance(message, str) or not message.endswith((f"\n{tag}", f" {tag}")):
            continue
        said = DENIAL.fullmatch(message.removesuffix(tag).rstrip())
        if said is not None:
            subject = (said["subject"] or "").encode("unicode_escape").decode("ascii")
            found[f"{said['operation']} {subject}".rstrip()[:LONGEST_DENIAL]] = None
    return list(found)
