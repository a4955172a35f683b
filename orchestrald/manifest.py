"""What does the runner need to know of an action that an external program performs?

It is made from a manifest (`manifest_text` reads one, `manifest_model` lists its keys), or from an entry of the
original's configuration.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from orchestrald.core.model import ActionSpec, Retry
from orchestrald.errors import InvalidManifest
from orchestrald.manifest_model import ActionKeys, Manifest
from orchestrald.manifest_text import MAJOR, check
from orchestrald.protocol import strict_json
from orchestrald.protocol.foreign_text import plain
from orchestrald.protocol.strict_yaml import Document


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use. Seconds, bytes, processor cores (missing: no limit of its own) and processes."""

    timeout: float = 60.0
    memory: int = 1 << 30
    cpus: float | None = None
    pids: int = 128
    stdout: int = 4 << 20
    stderr: int = 1 << 20


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """What the manifest asks for; the operator's configuration grants, and may only grant less.

    `read` and `write` hold `${workspace}` and `${scratch}` (optionally with a path below), nothing else. `network` is
    `none`, `allow` (only `hosts`, as host:port) or `full`.
    """

    read: tuple[str, ...] = ("${workspace}",)
    write: tuple[str, ...] = ("${scratch}",)
    network: Literal["none", "allow", "full"] = "none"
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the program needs, and how it wants to be given it."""

    name: str
    deliver: Literal["file", "env", "fd"] = "file"
    required: bool = True


@dataclass(frozen=True, slots=True)
class ExternalAction:
    """An action that an external program performs: all that the runner needs to run it.

    `command` is the argv as it stands in the manifest, never a shell string; `program` is the absolute path that
    command[0] was resolved to when the plugin was loaded (empty: not resolved, look it up on PATH). The child's
    working folder is `cwd` when that is absolute, else `folder`. `env` is literal; `env_pass` are names that the
    manifest asks to copy from the daemon's environment, which the operator grants. `retry_on` says which outcomes may
    be retried: of `retryable_error` and `timeout` (a timeout only if the action is idempotent). `digest` is that of
    the folder's contents.
    """

    spec: ActionSpec
    plugin: str
    version: str
    name: str
    folder: Path
    digest: str
    command: tuple[str, ...]
    program: str = ""
    cwd: Path = Path()
    entrypoint: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_pass: tuple[str, ...] = ()
    limits: Limits = Limits()
    sandbox: SandboxRequest = SandboxRequest()
    secrets: tuple[Secret, ...] = ()
    strict_stdout: bool = False
    stop_timeout: float = 2.0
    dry_run: bool = False
    max_concurrency: int | None = None
    retry_on: frozenset[str] = frozenset({"retryable_error", "timeout"})
    generation: int = 1


def external_actions(
    manifest: Manifest, folder: Path, *, digest: str, program: str = "", generation: int = 1
) -> tuple[ExternalAction, ...]:
    """The actions of a plugin, ready to be run from `folder`."""
    runtime, limits, sandbox = manifest.runtime, manifest.limits, manifest.sandbox
    return tuple(
        ExternalAction(
            spec=_spec(manifest, action, digest),
            plugin=manifest.name,
            version=manifest.version,
            name=action.name,
            folder=folder,
            digest=digest,
            command=tuple(runtime.command),
            program=program,
            entrypoint=action.entrypoint,
            env=dict(runtime.env),
            env_pass=tuple(runtime.env_pass),
            limits=Limits(
                action.timeout or limits.timeout,
                limits.memory,
                limits.cpus,
                limits.pids,
                limits.stdout,
                limits.stderr,
            ),
            sandbox=SandboxRequest(
                tuple(sandbox.fs.read), tuple(sandbox.fs.write), sandbox.net.mode, tuple(sandbox.net.allow)
            ),
            secrets=tuple(Secret(s.name, s.deliver, s.required) for s in manifest.secrets),
            strict_stdout=runtime.strict_stdout,
            stop_timeout=runtime.stop_timeout,
            dry_run=action.dry_run,
            max_concurrency=action.max_concurrency or runtime.max_concurrency,
            retry_on=frozenset(action.retry.on),
            generation=generation,
        )
        for action in manifest.actions
    )


def _spec(manifest: Manifest, action: ActionKeys, digest: str) -> ActionSpec:
    retry = action.retry
    return ActionSpec(
        name=f"{manifest.name}.{action.name}",
        description=action.description,
        input_schema=action.input_schema,
        output_schema=action.output_schema,
        effects=action.effects,
        open_world=action.open_world,
        idempotent=action.idempotent,
        approval=action.approval,
        retry=Retry(max=retry.max, backoff=retry.backoff, multiplier=retry.multiplier, max_backoff=retry.max_backoff),
        timeout=action.timeout or manifest.limits.timeout,
        max_concurrency=action.max_concurrency or manifest.runtime.max_concurrency,
        plugin=manifest.name,
        version=manifest.version,
        digest=digest,
    )


def imported(entry: Mapping[str, Any], folder: Path) -> ExternalAction:
    """The action that an Orchestral `kind: external_process` entry describes. `folder` is its configuration's.

    It keeps its own name, without a plugin's in front, so that plans written for the original still find it. Raises
    InvalidManifest. `timeout_ms` missing meant no limit there; here it is a manifest's default.
    """
    name = entry.get("name")
    config, interface = entry.get("config") or {}, entry.get("interface") or {}
    if not isinstance(name, str) or not (isinstance(config, dict) and isinstance(interface, dict)):
        raise InvalidManifest("an external_process entry needs a name, and a config with a command")
    args = config.get("args") or []
    if not isinstance(args, list):
        raise InvalidManifest(f"the action {plain(name, 100)}: config.args is a list")
    action: dict[str, Any] = {"name": name, "description": entry.get("description") or "", **interface}
    if config.get("entrypoint") is not None:
        action["entrypoint"] = config["entrypoint"]
    timeout_ms = config.get("timeout_ms")
    as_manifest = {
        "manifest": MAJOR,
        "name": "orchestral",
        "version": "0",
        "runtime": {"command": [config.get("command"), *args], "env": config.get("env") or {}},
        "limits": {"timeout": timeout_ms / 1000} if isinstance(timeout_ms, int) else {},
        "actions": [action],
    }
    manifest = check(Document(as_manifest, {}), "orchestral", f"the action {plain(name, 100)}").manifest
    digest = f"sha256:{hashlib.sha256(strict_json.dumps(as_manifest)).hexdigest()}"
    made = external_actions(manifest, folder, digest=digest)[0]
    return replace(made, cwd=folder / str(config.get("working_dir") or ""), spec=replace(made.spec, name=name))
