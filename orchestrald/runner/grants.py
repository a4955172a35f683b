"""What do the operator's words, a manifest's and a plan's come to, as the policy of one run?

The operator grants; a manifest narrows, and a plan narrows what is left; nobody else has a say. Pure but for links,
which are resolved here: a policy knows only real paths.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orchestrald_sandbox as sandbox
from orchestrald.core.model import StepSandbox
from orchestrald.hookspecs import Confinement
from orchestrald.manifest import Limits as ManifestLimits
from orchestrald.manifest import SandboxRequest

WHOLE = ("",)
"""The parts of a workspace, when that is all of it."""

_NETWORK = {"none": sandbox.Network.OFF, "allow": sandbox.Network.PROXY, "full": sandbox.Network.HOST}
_MOST = sandbox.Limits(**dict.fromkeys((name for name, _ in sandbox.Limits().items()), 1 << 62))
"""Asks for nothing less than there is: `tighten` takes the smaller of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program as it is asked for. Empty `folder` and `workspace`: there is none. `scratch` is always there.

    `env` is literal and laid over the sandbox's own variables; `env_pass` are names asked for of the daemon's.
    `path` is where a bare program name is looked up; empty means the sandbox's own PATH. `reads` and `writes` are the
    parts of the workspace that are wanted, relative to it. `manifest` and `plan` narrow the operator's word; missing:
    they are silent.
    """

    argv: Sequence[str]
    confinement: Confinement
    scratch: str
    folder: str = ""
    workspace: str = ""
    cwd: str = ""
    env: Mapping[str, str]
    env_pass: tuple[str, ...] = ()
    path: str = ""
    stdin: bytes = b""
    reads: tuple[str, ...] = WHOLE
    writes: tuple[str, ...] = WHOLE
    manifest: sandbox.Request | None = None
    plan: sandbox.Request | None = None


def manifest_request(asked: SandboxRequest, limits: ManifestLimits) -> sandbox.Request:
    """What a manifest asks for, in the sandbox's words. Only ever used to narrow."""
    percent = _MOST.cpu_percent if limits.cpus is None else max(1, int(limits.cpus * 100))
    return sandbox.Request(
        mode=sandbox.Mode.WORKSPACE_WRITE if workspace_parts(asked.write) else sandbox.Mode.READ_ONLY,
        network=_NETWORK[asked.network],
        destinations=sandbox.destinations.parse(asked.hosts) if asked.network == "allow" else None,
        limits=replace(_MOST, memory_bytes=limits.memory, processes=limits.pids, cpu_percent=percent),
    )


def plan_request(asked: StepSandbox | None) -> sandbox.Request | None:
    """What a step of a plan asks for; None when it is silent."""
    if asked is None:
        return None
    limits = {name: value for name, value in (("memory_bytes", asked.memory), ("processes", asked.processes)) if value}
    return sandbox.Request(
        mode=None if asked.mode is None else sandbox.Mode(asked.mode),
        network=None if asked.network is None else sandbox.Network(asked.network),
        limits=replace(_MOST, **limits),
    )


def workspace_parts(paths: Iterable[str]) -> tuple[str, ...]:
    """Which parts of the workspace these paths of a manifest name, relative to it; "" is all of it."""
    named = (path.removeprefix("${workspace}").strip("/") for path in paths if path.startswith("${workspace}"))
    return tuple(dict.fromkeys(named))


def refused(confinement: Confinement, request: sandbox.Request) -> tuple[str, ...]:
    """What a manifest asks for and the operator has not granted, in words; empty when all is granted."""
    try:
        return sandbox.refused(operator_policy(confinement), request)
    except sandbox.PolicyError:
        return ()  # the run itself will say so


def problem(confinement: Confinement) -> str:
    """What is wrong with the operator's words, in words; empty when they can be used."""
    try:
        operator_policy(confinement)
    except sandbox.SandboxError as error:
        return str(error)
    return ""


def backend(word: str) -> str:
    """What confines here when the operator has said `word`: never `auto`."""
    return sandbox.backend_of(sandbox.Policy(backend=sandbox.parse(sandbox.Backend, word, "sandbox.backend"))).value


def policy_of(command: Command, private: Iterable[str]) -> sandbox.Policy:
    """The operator's policy, narrowed, on the folders of this run. `private` is hidden wherever it would show."""
    policy = _narrowed(operator_policy(command.confinement), command.manifest, command.plan)
    workspace = os.path.realpath(command.workspace) if command.workspace else ""
    hidden = (os.path.join(workspace or "/nonexistent", path) for path in command.confinement.masked)
    return replace(
        policy,
        **_workspace(command, policy, workspace),
        plugin_dir=os.path.realpath(command.folder) if command.folder else None,
        scratch=os.path.realpath(command.scratch),
        cwd=os.path.realpath(command.cwd) if command.cwd else workspace or None,
        masked=(*sandbox.MASKED, *private, *(os.path.normpath(path) for path in hidden)),
    )


def operator_policy(confinement: Confinement) -> sandbox.Policy:
    """The operator's words as a policy. PolicyError names a word that is none: it never becomes a default."""
    known = dict(sandbox.Limits().items())
    for name in confinement.limits:
        if name not in known:
            raise sandbox.PolicyError(f"limits.{name} is not one of {', '.join(known)}")
    network = sandbox.parse(sandbox.Network, confinement.network, "sandbox.network")
    listed = sandbox.destinations.parse(confinement.destinations)
    if network is sandbox.Network.PROXY and not listed:
        network = sandbox.Network.OFF
    return sandbox.Policy(
        mode=sandbox.parse(sandbox.Mode, confinement.mode, "sandbox.mode"),
        backend=sandbox.parse(sandbox.Backend, confinement.backend, "sandbox.backend"),
        fs_read=sandbox.parse(sandbox.FsRead, confinement.fs_read, "sandbox.fs_read"),
        network=network,
        destinations=(listed,) if network is sandbox.Network.PROXY else (),
        unix_sockets=confinement.unix_sockets,
        writable_roots=tuple(os.path.realpath(path) for path in confinement.writable_roots),
        read_roots=tuple(os.path.realpath(path) for path in confinement.read_roots),
        protected=sandbox.PROTECTED if confinement.protected is None else confinement.protected,
        limits=sandbox.Limits(**(known | dict(confinement.limits))),
        run_as=confinement.run_as,
    )


def _narrowed(policy: sandbox.Policy, manifest: sandbox.Request | None, plan: sandbox.Request | None) -> sandbox.Policy:
    if plan is not None and plan.mode is not None and policy.mode is sandbox.Mode.NONE:
        policy = replace(policy, backend=sandbox.Backend.AUTO)  # the plan wants its sandbox back, which is less
        narrowed = sandbox.tighten(policy, plan)
        return narrowed if manifest is None else sandbox.tighten(narrowed, manifest)
    if manifest is not None:
        # Where the operator has said none, what a manifest says is about a sandbox that there is not.
        unconfined = policy.mode is sandbox.Mode.NONE
        policy = sandbox.tighten(policy, sandbox.Request(limits=manifest.limits) if unconfined else manifest)
    if plan is not None:
        policy = sandbox.tighten(policy, plan)
    return policy


def _workspace(command: Command, policy: sandbox.Policy, workspace: str) -> dict[str, Any]:
    """Where all of it is wanted, it is one mount; else each part is one, and what is not named is not there."""
    if not workspace:
        return {}
    if "" in command.writes or ("" in command.reads and not command.writes):
        return {"workspace": workspace}
    _check_parts(command, policy, workspace)
    return {
        "parts": tuple(os.path.join(workspace, part).rstrip("/") for part in command.reads),
        "writable_roots": (*policy.writable_roots, *(os.path.join(workspace, part) for part in command.writes)),
    }


def _check_parts(command: Command, policy: sandbox.Policy, workspace: str) -> None:
    """A manifest asks for parts, and must not thereby undo what the operator protects or hides in the whole."""
    for part in command.writes:
        if name := sandbox.protected.touched(part, policy.protected):
            raise sandbox.PolicyError(f"the manifest wants to write to {part}, and {name} is protected")
    hidden = {os.path.realpath(os.path.join(workspace, path)) for path in command.confinement.masked}
    for part in (*command.reads, *command.writes):
        path = os.path.realpath(os.path.join(workspace, part))
        if path in hidden or sandbox.policy.beneath(path, *hidden):
            raise sandbox.PolicyError(f"the manifest wants to see {part}, which sandbox.masked hides")
