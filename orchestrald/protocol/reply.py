"""Which shapes may an action's answer have, and what does each mean?

Five tagged forms (`type`) and four untagged ones, told apart by one key. An answer that could be read as two is
refused: the original took `{"message": "boom"}` for success.
"""

from collections.abc import Callable
from typing import Any

from orchestrald.core import schema as json_schema
from orchestrald.core.model import Failure, Question
from orchestrald.protocol.foreign_text import plain

MAX_STATE = 64 * 1024
MAX_CODE = 100
MAX_COMMAND = 16_000
"""A person approves what they can read: a longer command is refused, never shown shortened."""
MAX_RETRY_AFTER_MS = 7 * 86_400_000


class Malformed(ValueError):
    """The answer has none of the shapes; the message says what is wrong with it."""


def meaning(value: Any) -> dict[str, Any] | Failure | Question:
    """The exports, failure or question that an answer stands for. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed(f"it must be a JSON object, not {_kind(value)}")
    if "type" in value:
        form = value["type"]
        if not isinstance(form, str) or form not in _READ:
            raise Malformed(f"its type must be one of {', '.join(_READ)}, not {plain(repr(form), 100)}")
    else:
        form = _untagged(value)
    return _READ[form](value)


def approval(reason: str, command: str = "", preview: Any = None, state: str | None = None) -> Question:
    """The question that an action's wish for a person's yes becomes. What the person is shown is in `preview`."""
    shown = {"command": plain(command, MAX_COMMAND) if command else None, "preview": preview}
    return Question(
        "approval", plain(reason), preview={k: v for k, v in shown.items() if v is not None} or None, state=state
    )


def _untagged(value: dict[str, Any]) -> str:
    keys = [key for key in ("exports", "question", "message") if key in value]
    if len(keys) != 1:
        found = " and ".join(keys) or "none of them"
        raise Malformed(f"without a type it must have exactly one of exports, question, message; it has {found}")
    if keys[0] == "message":
        retryable = any(key in value for key in ("retry_after_ms", "retry_after", "attempt"))
        return "retryable_error" if retryable else "error"
    return {"exports": "success", "question": "need_clarification"}[keys[0]]


def _success(value: dict[str, Any]) -> dict[str, Any]:
    exports = value.get("exports", {})
    if not isinstance(exports, dict):
        raise Malformed(f"exports must be an object, not {_kind(exports)}")
    return exports


def _clarification(value: dict[str, Any]) -> Question:
    schema = value.get("schema")
    if schema is not None:
        if not isinstance(schema, dict):
            raise Malformed(f"schema must be an object, not {_kind(schema)}")
        problems = json_schema.check(schema)
        if problems:
            raise Malformed(f"its schema cannot be used: {problems[0]}")
    return Question("clarification", plain(_text(value, "question")), schema=schema, state=_state(value))


def _approval(value: dict[str, Any]) -> Question:
    asked = value.get("request")
    if not isinstance(asked, dict):
        raise Malformed("request must be an object with a reason")
    command = asked.get("command")
    if command is not None and not isinstance(command, str):
        raise Malformed(f"request.command must be a string, not {_kind(command)}")
    if len(command or "") > MAX_COMMAND:
        raise Malformed(f"request.command is longer than {MAX_COMMAND} characters")
    return approval(_text(asked, "reason", "request."), command or "", value.get("preview"), _state(value))


def _retryable(value: dict[str, Any]) -> Failure:
    attempt = value.get("attempt")
    if attempt is not None and not _is_count(attempt):
        raise Malformed("attempt must be a whole number, 0 or more")
    key = "retry_after" if "retry_after" in value else "retry_after_ms"
    wait = value.get(key)
    if wait is not None and not _is_count(wait):
        raise Malformed(f"{key} must be a whole number of milliseconds, 0 or more")
    return Failure(
        _code(value, "retryable_error"),
        plain(_text(value, "message")),
        retryable=True,
        retry_after_ms=None if wait is None else min(wait, MAX_RETRY_AFTER_MS),
        details=_details(value),
    )


def _error(value: dict[str, Any]) -> Failure:
    return Failure(_code(value, "action_failed"), plain(_text(value, "message")), details=_details(value))


_Reader = Callable[[dict[str, Any]], dict[str, Any] | Failure | Question]
_READ: dict[str, _Reader] = {
    "success": _success,
    "need_clarification": _clarification,
    "need_approval": _approval,
    "retryable_error": _retryable,
    "error": _error,
}


def _text(value: dict[str, Any], key: str, above: str = "") -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text.strip():
        raise Malformed(f"{above}{key} must be a string that says something")
    return text


def _state(value: dict[str, Any]) -> str | None:
    state = value.get("state")
    if state is not None and not isinstance(state, str):
        raise Malformed(f"state must be a string, not {_kind(state)}")
    if state is not None and len(state) > MAX_STATE:
        raise Malformed(f"state is longer than {MAX_STATE} characters")
    return state


def _code(value: dict[str, Any], default: str) -> str:
    code = value.get("code")
    if code is None:
        return default
    if not isinstance(code, str) or not 0 < len(code) <= MAX_CODE:
        raise Malformed(f"code must be a string of 1 to {MAX_CODE} characters")
    return plain(code).replace("\n", " ")


def _details(value: dict[str, Any]) -> dict[str, Any] | None:
    details = value.get("details")
    if details is not None and not isinstance(details, dict):
        raise Malformed(f"details must be an object, not {_kind(details)}")
    return details or None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    names: tuple[tuple[type, str], ...] = ((dict, "an object"), (list, "an array"), (str, "a string"))
    return next((name for kind, name in names if isinstance(value, kind)), "a number")
