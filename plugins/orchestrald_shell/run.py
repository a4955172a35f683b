"""What does `shell` do?"""

import os
import shlex
from dataclasses import replace
from typing import Any

from orchestrald.hookspecs import ActionContext, ActionError, Completed, Confinement, NeedApproval
from orchestrald_shell.environment import environment
from orchestrald_shell.rules import refuse_unless_allowed, why_ask
from orchestrald_shell.settings import MOST_CHARACTERS, Settings
from orchestrald_shell.words import EXPRESSION, of_arguments, of_expression

_STRICTER = ("read_only", "workspace_write", "none")
"""Modes from the strictest on. A step may ask for one that is as strict as the operator's, or stricter."""


async def shell(settings: Settings, params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    granted = confinement(settings, context.shell.confinement, context.workspace)
    mode = _mode(granted.mode, params.get("sandbox_mode"))
    granted = replace(granted, mode=mode, backend="auto" if granted.backend == "none" != mode else granted.backend)
    command, arguments = params["command"].strip(), params.get("args", [])
    if not command:
        raise ActionError("the command is empty", code="bad_input")
    expression = _is_expression(settings, params, mode)
    reading = of_expression(command) if expression else of_arguments([command, *arguments])
    refuse_unless_allowed(settings, reading)
    shown = command if expression and not arguments else shlex.join([command, *arguments])
    reason = why_ask(reading)
    if reason and len(shown) > MOST_CHARACTERS:
        raise ActionError(f"{reason}, and it is too long to be read by a person", code="too_long")
    if reason and not _approved(context):
        raise NeedApproval(reason, command=shown)
    # With arguments, `sh -c` gets them as $1...: text from a plan is then never read as shell syntax.
    argv = ["sh", "-c", command, "sh", *arguments] if expression else [command, *arguments]
    done = await context.shell.run_program(
        argv,
        confinement=granted,
        env=environment(settings, os.environ, granted),
        cwd=_folder(settings, context),
        stdin=b"",
        timeout=None if settings.timeout_ms is None else settings.timeout_ms / 1000,
        max_output_bytes=settings.max_output_bytes,
    )
    output = _output(settings, mode, done)
    if params.get("fail_on_non_zero", settings.fail_on_non_zero) and (done.timed_out or done.status != 0):
        raise _failed(shown, output)
    return output


def confinement(settings: Settings, operator: Confinement, workspace: str) -> Confinement:
    """What programs run under: the operator's word, and where a setting of this plugin says more, that."""
    network = {None: operator.network, True: "host", False: "off"}[settings.sandbox_allow_network]
    mode = settings.sandbox_mode or operator.mode
    backend = "none" if mode == "none" else settings.sandbox_backend or operator.backend
    return replace(
        operator,
        mode=mode,
        backend="auto" if backend == "none" and mode != "none" else backend,
        network=network,
        writable_roots=(
            *operator.writable_roots,
            *(_beneath(root, workspace) for root in settings.sandbox_writable_roots),
        ),
        bwrap_path=settings.sandbox_linux_bwrap_path or operator.bwrap_path,
    )


def _mode(granted: str, wanted: str | None) -> str:
    if wanted is None:
        return granted
    if _STRICTER.index(wanted) > _STRICTER.index(granted):
        raise ActionError(
            f"a step cannot loosen the sandbox: the operator has set sandbox_mode to {granted}",
            code="denied",
        )
    return wanted


def _is_expression(settings: Settings, params: dict[str, Any], mode: str) -> bool:
    """Is the command for `sh` to read? Unconfined, only the operator can allow that."""
    looks = not params.get("args") and any(c in EXPRESSION for c in params["command"].strip())
    wanted = params.get("shell", settings.allow_shell_expression)
    if not (looks or wanted):
        return False
    if mode == "none" and not settings.allow_shell_expression:
        raise ActionError(
            "unsafe shell expression: give the command and its args apart, or let the operator set a sandbox_mode "
            "or allow_shell_expression",
            code="unsafe_expression",
        )
    return True


def _approved(context: ActionContext) -> bool:
    return isinstance(context.approval, dict) and context.approval.get("decision") == "approved"


def _folder(settings: Settings, context: ActionContext) -> str:
    if settings.working_dir is not None:
        return _beneath(settings.working_dir, context.workspace)
    return context.workspace or context.scratch


def _beneath(path: str, workspace: str) -> str:
    if os.path.isabs(path):
        return path
    if not workspace:
        raise ActionError(
            f"{path!r} is relative and the interaction has no workspace; "
            "pass one with `orchestral run --workspace DIR`",
            code="no_workspace",
        )
    return os.path.normpath(os.path.join(workspace, path))


def _output(settings: Settings, mode: str, done: Completed) -> dict[str, Any]:
    return {
        "stdout": done.stdout.decode("utf-8", "replace"),
        "stderr": done.stderr.decode("utf-8", "replace"),
        "status": done.status,
        "timed_out": done.timed_out,
        "stdout_truncated": done.stdout_truncated,
        "stderr_truncated": done.stderr_truncated,
        "sandbox_mode": mode,
        "sandboxed": done.sandboxed,
        "sandbox_backend": done.sandbox_backend,
        "env_policy": settings.env_policy,
    }


def _failed(shown: str, output: dict[str, Any]) -> ActionError:
    if output["timed_out"]:
        return ActionError(f"{shown[:200]} was stopped: its time was up", code="timeout", details=output)
    last = (output["stderr"] or output["stdout"]).strip().rsplit("\n", 1)[-1][:500]
    told = f": {last}" if last else ""
    return ActionError(f"{shown[:200]} ended with status {output['status']}{told}", code="exit_status", details=output)
