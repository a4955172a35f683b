"""What may a plugin offer, and what is it given? This module is all that an in-process plugin imports.

Hooks are synchronous and run at load time: a hook declares actions, it never works. The work is in the actions' async
functions, which run inside a trio cancel scope: they must await with trio, never block, and let `trio.Cancelled` pass.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pluggy

from orchestrald.beneath import Refused as Refused
from orchestrald.beneath import Root as Root
from orchestrald.beneath import open_root as open_root
from orchestrald.core.concurrency import Decision as Decision
from orchestrald.core.concurrency import Merge as Merge
from orchestrald.core.concurrency import Policy as Policy
from orchestrald.core.concurrency import Queue as Queue
from orchestrald.core.concurrency import Reject as Reject
from orchestrald.core.concurrency import Situation as Situation
from orchestrald.core.concurrency import Standing as Standing
from orchestrald.core.concurrency import Start as Start
from orchestrald.plugin_settings import read_settings as read_settings

hookspec = pluggy.HookspecMarker("orchestrald")
hookimpl = pluggy.HookimplMarker("orchestrald")


class ActionError(Exception):
    """The action failed for good. `code` is yours to choose; `details` travels to the user as it is."""

    def __init__(self, message: str, *, code: str = "action_error", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class RetryableError(ActionError):
    """The action failed, and trying again may help. `retry_after_ms` missing leaves the wait to the step's backoff."""

    def __init__(self, message: str, *, code: str = "retryable", retry_after_ms: int | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_ms = retry_after_ms


class NeedClarification(Exception):
    """The action needs an answer. It is run again with `context.answers` set and `context.state` echoed."""

    def __init__(self, question: str, *, schema: dict[str, Any] | None = None, state: str | None = None) -> None:
        super().__init__(question)
        self.question = question
        self.schema = schema
        self.state = state


class NeedApproval(Exception):
    """The action needs a person's yes. It is run again with `context.approval` set, bound to these very params."""

    def __init__(self, reason: str, *, command: str = "", preview: Any = None, state: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.command = command
        self.preview = preview
        self.state = state


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a program that an action starts may touch. The operator's configuration decides, never a plan.

    The words are the sandbox policy's: mode none|read_only|workspace_write, network off|proxy|host. Empty
    `writable_roots` means the workspace alone (in workspace_write). `read_roots` are shown besides it. `env_pass` are
    the names of the daemon's variables that may be handed on where a manifest asks for them. `protected` missing
    means the built-in names (.git and its like). `limits` are the sandbox's own by name (`memory_bytes`,
    `processes`, ...); what is missing keeps its default. `run_as` is a (uid, gid), missing for the daemon's own.
    `destinations` are host:port entries for network proxy; empty means no network. `masked` are paths that are hidden
    wherever they would be shown, relative ones beneath the workspace.
    """

    mode: str = "read_only"
    backend: str = "auto"
    network: str = "off"
    fs_read: str = "minimal"
    writable_roots: tuple[str, ...] = ()
    unix_sockets: bool = False
    bwrap_path: str | None = None
    read_roots: tuple[str, ...] = ()
    env_pass: tuple[str, ...] = ()
    protected: tuple[str, ...] | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    run_as: tuple[int, int] | None = None
    destinations: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ran to its end, or was stopped at its deadline (`timed_out`, then `status` is -1)."""

    status: int
    stdout: bytes
    stderr: bytes
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    timed_out: bool = False
    sandboxed: bool = False
    sandbox_backend: str = "none"


class Shell(Protocol):
    """What the daemon does for a running action. Real actions get the runner's; tests get `orchestrald.testing`'s.

    `confinement` is the operator's word for the programs of this action's plugin.
    """

    @property
    def confinement(self) -> Confinement: ...

    def progress(self, done: float | None, total: float | None, message: str) -> None: ...

    def log(self, level: str, message: str) -> None: ...

    def refusal(self, root: str, path: str, *, write: bool) -> str:
        """Why an action must not touch `path` beneath `root` itself, in words; empty when it may.

        The daemon's own folders, and for writing the names that the sandbox protects too (.git, .env and their like).
        """
        ...

    def scratch(self) -> str:
        """The attempt's private folder, made when it is first asked for and removed after the attempt."""
        ...

    async def run_program(
        self,
        command: Sequence[str],
        *,
        confinement: Confinement,
        env: Mapping[str, str],
        cwd: str | None,
        stdin: bytes,
        timeout: float | None,
        max_output_bytes: int,
    ) -> Completed:
        """Run a program to its end, with the attempt's workspace. `env` is laid over the sandbox's own variables.

        `max_output_bytes` are kept of each stream, the rest is dropped. Raises ActionError (`cannot_run`,
        `protected_create`) and SandboxUnavailable; an exit status is never an exception.
        """
        ...


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action knows of the attempt that it is.

    `workspace` is the folder that the interaction works on (empty: none was given). `idempotency_key` is the same for
    every attempt of a step, also after a restart. `answers`, `approval` and `state` are missing unless this attempt
    follows a question. Times are UTC milliseconds.
    """

    interaction_id: str
    step_id: str
    execution_id: str
    attempt: int
    idempotency_key: str
    workspace: str
    shell: Shell
    deadline_ms: int | None = None
    dry_run: bool = False
    answers: Any = None
    approval: Any = None
    state: str | None = None

    @property
    def scratch(self) -> str:
        """A private folder, made when first asked for and removed after the attempt."""
        return self.shell.scratch()


Run = Callable[[dict[str, Any], ActionContext], Awaitable[dict[str, Any]]]
"""An action's function: validated parameters in (defaults applied), exports out."""


@dataclass(frozen=True, slots=True)
class Action:
    """One capability. Empty schemas accept anything; `effects` left out means destructive: we are pessimistic.

    An action that runs programs says in `confinement` under what: the operator's word and the workspace in, what is
    used out. It answers `orchestral sandbox explain`; missing means that it runs none.
    """

    name: str
    run: Run
    description: str = ""
    input_schema: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] = field(default_factory=dict)
    effects: Literal["read", "write", "destructive"] = "destructive"
    open_world: bool = True
    idempotent: bool = False
    approval: Literal["auto", "always", "never"] = "auto"
    timeout: float | None = None
    max_concurrency: int | None = None
    confinement: Callable[[Confinement, str], Confinement] | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A step waits for a person. `kind` says for what: input, clarification, approval, interrupted.

    `prompt` is the question; what would run is not in it, as a notice may travel far: `orchestral show` shows that to
    whoever may see it. `title` is what the interaction is about; empty if nobody has said so.
    """

    interaction_id: str
    thread_id: str
    step_id: str
    kind: str
    prompt: str
    title: str = ""


Notifier = Callable[[Notice], Awaitable[None]]
"""Tells a person, in its own way. It has ten seconds; what it raises is logged, and hurts nobody."""


class Hooks:
    """Every hook. plugins/README.md documents each with its exact arguments, and a test compares."""

    @hookspec
    def register_policies(self, register: Callable[[str, Policy], None], settings: Mapping[str, Any]) -> None:
        """Call `register` with the name of each concurrency policy and its function: what becomes of a new input while
        something is active in its thread. It is called in the daemon's loop, so it must be quick, and touch nothing."""

    @hookspec
    def register_notifiers(self, register: Callable[[Notifier], None], settings: Mapping[str, Any]) -> None:
        """Call `register` with each async function that tells a person when a step waits for one. It is called once for
        each question, after it is durable, and not again when the daemon restarts."""

    @hookspec
    def register_actions(self, register: Callable[[Action], None], settings: Mapping[str, Any]) -> None:
        """Call `register` once per action. `settings` is the operator's section for this plugin, empty if none."""
