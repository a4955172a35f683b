"""The boundary between the daemon and what it runs: a policy in, a process call that holds it out.

Fails closed: what cannot be confined as asked is not started. Imports nothing but the standard library,
starts no command itself, keeps no state.

    host = inspect(state)                      once, at start
    probe(host, state, policy).ok              once per kind of policy, in a thread
    found = resolve(command, folder=..., path=...)
    with prepare(policy.reading(found.read_roots), found.argv, env, host) as prepared:
        process = subprocess.Popen(prepared.argv, env=prepared.env, ...)
"""

from . import cgroups, destinations, environment, explain, limits, listener, protected, status, survivors, usage
from .bubblewrap import Host
from .errors import CommandError, PolicyError, SandboxError, Unavailable
from .host import backend_of, find_bwrap, inspect, weaker
from .interpreter import Resolved, resolve
from .policy import (
    MASKED,
    PROTECTED,
    Backend,
    FsRead,
    Limits,
    Mode,
    Network,
    Policy,
    Request,
    parse,
    refused,
    tighten,
)  # fmt: skip
from .prepare import Prepared, prepare
from .probe import Probe, diagnose, kind_of, probe

__all__ = [
    "MASKED", "PROTECTED", "Backend", "CommandError", "FsRead", "Host", "Limits", "Mode", "Network", "Policy",
    "PolicyError", "Prepared", "Probe", "Request", "Resolved", "SandboxError", "Unavailable", "backend_of", "cgroups",
    "destinations", "diagnose", "environment", "explain", "find_bwrap", "inspect", "kind_of", "limits", "listener",
    "parse", "prepare", "probe", "protected", "refused", "resolve", "status", "survivors", "tighten", "usage", "weaker",
]  # fmt: skip
