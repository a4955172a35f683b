"""How is what one program may touch told, as far as it could be found out?"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orchestrald_sandbox as sandbox

MOST_FOUND = 100
"""A workspace may hold thousands of protected names; whoever wants all of them finds them in bwrap's words."""


@dataclass(slots=True)
class Settled:
    """What a program comes to on this machine. Filled in from top to bottom: where it fails, the rest stays empty."""

    policy: sandbox.Policy | None = None
    host: sandbox.Host | None = None
    argv: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def answer(settled: Settled, cgroups: sandbox.cgroups.Cgroups, reasons: Mapping[str, str]) -> dict[str, Any]:
    """What `sandbox.explain` says of the policy. Empty when the operator's words make none.

    `reasons` say of a path why it is granted; what the program itself needs is added to them.
    """
    policy = settled.policy
    if policy is None:
        return {}
    installed = dict.fromkeys(settled.needs, "the program, or the installation that it runs on")
    real = dict.fromkeys(os.path.realpath(path) for path in policy.masked)
    found = sandbox.explain.explained(
        policy,
        settled.host,
        cgroups,
        existing=[path for path in real if os.path.exists(path)],
        reasons=installed | dict(reasons),
    ).as_json()
    cwd = policy.cwd or policy.workspace or "/tmp"  # noqa: S108  the sandbox's own
    return found | {"command": list(settled.argv), "cwd": cwd, "environment": sorted(settled.env)}


def words(prepared: sandbox.Prepared) -> dict[str, Any]:
    """What starts it, an option a line, and which protected names there are. `prepared` is still open."""
    argv = [prepared.argv]
    if prepared.words:
        opened = {number: os.readlink(f"/proc/self/fd/{number}") for number in prepared.pass_fds}
        at = prepared.argv.index("--args")  # and the descriptor that holds the words
        argv = [prepared.argv[:at], *sandbox.explain.readable(prepared.words, opened), prepared.argv[at + 2 :]]
    return {
        "argv": argv,
        "protected_found": sorted(prepared.protected_before.paths)[:MOST_FOUND],
    }


def in_force(cgroups: sandbox.cgroups.Cgroups | None, run_as: tuple[int, int] | None) -> dict[str, str]:
    """What holds the limits of programs here; empty while nobody has looked, as where there is no sandbox."""
    if cgroups is None:
        return {}
    return sandbox.explain.mechanisms(cgroups, os.getuid() if run_as is None else run_as[0])
