"""How is one attempt of an in-process action run, from its function to an outcome?

Rules of this file:

- It is the fast path, and a step costs microseconds here: no nursery, no folder and no scope unless asked for.
- An exception is an outcome. Only `trio.Cancelled` from outside passes through, so that a stopped step stops.
"""

import logging
import time
from collections.abc import Callable
from math import inf, isfinite
from pathlib import Path
from typing import Any

import trio

from orchestrald.core.approval import digest
from orchestrald.core.model import ActionSpec, Failure, Question
from orchestrald.errors import OrchestralError
from orchestrald.hookspecs import (
    Action,
    ActionContext,
    ActionError,
    Confinement,
    NeedApproval,
    NeedClarification,
    RetryableError,
)
from orchestrald.protocol.foreign_text import plain
from orchestrald.protocol.reply import approval
from orchestrald.runner.base import Asked, Attempt, Failed, Observer, Outcome, Succeeded
from orchestrald.runner.confine import Confiner
from orchestrald.runner.services import AttemptShell
from orchestrald.runner.untouchable import Untouchable
from orchestrald.runner.validation import approval_of, input_for, output_failure

_log = logging.getLogger(__name__)

_NOTHING = Untouchable()

MAX_DEPTH = 64
"""As deep as the protocol lets any JSON be: what is stored must be readable again."""


class InProcessRunner:
    """Runs attempts of actions that are functions. `scratch` is the folder beneath which attempts may get one.

    `confinement_of` is the operator's word for a plugin's programs, by the plugin's name.
    """

    def __init__(
        self,
        confiner: Confiner,
        *,
        scratch: Path,
        confinement_of: Callable[[str], Confinement],
        untouchable: Untouchable = _NOTHING,
    ) -> None:
        self._confiner = confiner
        self._confinement_of = confinement_of
        self._scratch = scratch
        self._untouchable = untouchable

    async def run(self, spec: ActionSpec, how: Action, attempt: Attempt, observer: Observer) -> Outcome:
        params = input_for(spec, attempt.params)
        if isinstance(params, Failed):
            return params
        timeout = attempt.timeout if how.timeout is None else min(how.timeout, attempt.timeout or inf)
        granted = self._confinement_of(spec.plugin)
        shell = AttemptShell(attempt, observer, self._confiner, self._scratch, self._untouchable, granted)
        context = ActionContext(
            attempt.interaction_id,
            attempt.step_id,
            attempt.execution_id,
            attempt.attempt,
            attempt.idempotency_key,
            attempt.workspace,
            shell,
            None if timeout is None else time.time_ns() // 1_000_000 + int(timeout * 1000),
            attempt.dry_run,
            attempt.answers,
            attempt.approval and approval_of(spec, attempt),
            attempt.state,
        )
        try:
            if timeout is None:
                output = await how.run(params, context)
            else:
                with trio.CancelScope(deadline=trio.current_time() + timeout) as scope:
                    output = await how.run(params, context)
                if scope.cancelled_caught:
                    return _timed_out(spec, timeout)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own step's failure
            return _of_exception(error, spec, attempt)
        finally:
            await shell.close()
        problem = _not_json(output)
        if problem:
            return Failed(Failure("invalid_output", f"{spec.name} must return a dict of JSON values: {problem}"))
        return output_failure(spec, output) or Succeeded(output)


def _timed_out(spec: ActionSpec, timeout: float) -> Failed:
    return Failed(Failure("timeout", f"{spec.name} was stopped after {timeout:g} s", retryable=spec.idempotent))


def _of_exception(error: Exception, spec: ActionSpec, attempt: Attempt) -> Outcome:
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return _of_exception(error.exceptions[0], spec, attempt)  # trio wraps whatever leaves a nursery
    match error:
        case RetryableError():
            return Failed(Failure(error.code, str(error), True, error.retry_after_ms, error.details))
        case ActionError():
            return Failed(Failure(error.code, str(error), details=error.details))
        case NeedClarification():
            return Asked(Question("clarification", plain(error.question), schema=error.schema, state=error.state))
        case NeedApproval():
            question = approval(error.reason, error.command, error.preview, error.state)
            return Asked(question._replace(digest=digest(spec.name, attempt.params)))
        case OrchestralError():
            hint = {"hint": error.advice} if error.advice else None
            return Failed(Failure(error.code, error.message, details=hint))
    _log.error("the action %s failed in step %s", spec.name, attempt.step_id, exc_info=error)
    kind = type(error).__name__
    return Failed(Failure("internal_plugin_error", plain(f"{kind}: {error}"), details={"exception": kind}))


def _not_json(output: object) -> str:
    """Why a value is no JSON object; empty when it is. Strict: what comes back after a restart must be the same."""
    if type(output) is not dict:
        return f"it returned {type(output).__name__}"
    return _fault(output, "", 1)


def _fault(value: Any, where: str, depth: int) -> str:
    kind = type(value)
    if kind is str:
        return "" if value.isascii() or _encodable(value) else f"{where or 'a key'} holds half of a surrogate pair"
    if kind is int or kind is bool or value is None:
        return ""
    if kind is float:
        return "" if isfinite(value) else f"{where} is {value}, which JSON has no form for"
    if kind is not dict and kind is not list:
        return f"{where} is a {kind.__name__}"
    if depth > MAX_DEPTH:
        return f"{where[:80]} is nested more than {MAX_DEPTH} levels deep"
    return _fault_in_object(value, where, depth) if kind is dict else _fault_in_list(value, where, depth)


def _fault_in_object(value: dict[Any, Any], where: str, depth: int) -> str:
    for key, inner in value.items():
        if type(key) is not str:
            return f"{where or 'the result'} has the key {key!r}, and keys must be strings"
        fault = _fault(key, "", depth) or _fault(inner, f"{where}.{key}" if where else key, depth + 1)
        if fault:
            return fault
    return ""


def _fault_in_list(value: list[Any], where: str, depth: int) -> str:
    for index, inner in enumerate(value):
        fault = _fault(inner, f"{where}[{index}]", depth + 1)
        if fault:
            return fault
    return ""


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
