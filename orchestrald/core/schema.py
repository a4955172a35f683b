"""Does this value fit this JSON Schema (2020-12), and if not, where not?

Rules of this file:

- Nothing is fetched: no registry but the schema itself, whatever a `$ref` says.
- Nothing runs for ever: a validation has a budget of keyword checks, and a text is matched only up to the length that
  its pattern allows. Running out is a fault of the value, never an exception.
- `format` is a hint and not asserted, which is the specification's default.
"""

import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from pydantic_core import to_json
from referencing import Registry
from referencing.exceptions import Unresolvable

from orchestrald.core.patterns import Dangerous, longest_text
from orchestrald.core.plain_schema import plainly_fits
from orchestrald.core.schema_policy import LONGEST_NAME, check

__all__ = ["Fault", "check", "errors", "validator", "with_defaults"]

MAX_CHECKS = 300_000
"""Keyword checks per validation, about a second of them."""
MAX_FAULTS = 50
_MAX_MESSAGE = 300
_HASHABLE_FROM = 100

_SAYS_NOTHING = frozenset({"title", "description", "$schema", "$comment", "$id", "examples", "deprecated"})


class Fault(NamedTuple):
    """One way in which a value does not fit. `path` leads from the value to the place, empty for the value itself."""

    path: tuple[str | int, ...]
    message: str
    keyword: str = ""


class _Exhausted(Exception):
    pass


def errors(schema: dict[str, Any], instance: Any) -> list[Fault]:
    """Every fault of `instance`, at most 50, in the schema's order; empty when it fits. Never raises.

    The schema must have passed `check`; `{}` accepts anything.
    """
    if not schema:
        return []
    if _is_plain_object(schema):
        return [] if isinstance(instance, dict) else [Fault((), f"{_shown(instance)} is not of type 'object'", "type")]
    if plainly_fits(to_json(schema), instance):
        return []
    found: list[Fault] = []
    _spent.set(0)
    try:
        use = validator(schema)
        if _matches_names(schema) and (name := _overlong_name(instance)):
            return [Fault((), f"the property name {name[:40]!r}... is longer than {LONGEST_NAME} characters")]
        for error in use.iter_errors(instance):
            found.append(_fault(error))
            if len(found) == MAX_FAULTS:
                break
    except RecursionError:
        found.append(Fault((), "it is nested too deep to be checked"))
    except _Exhausted:
        found.append(Fault((), f"it is too large to be checked in {MAX_CHECKS} steps"))
    except (Unresolvable, Dangerous) as e:
        found.append(Fault((), f"its schema cannot be used: {str(e)[:_MAX_MESSAGE]}"))
    return found


def validator(schema: dict[str, Any]) -> Validator:
    """The validator of a schema, made once per content. It holds a copy: changing `schema` later does not reach it."""
    return _made(to_json(schema))


@lru_cache(maxsize=512)
def _made(text: bytes) -> Validator:
    schema = json.loads(text)
    schema.pop("$schema", None)  # we read every schema as 2020-12; an unknown dialect must not change that
    made: Validator = _Bounded(schema, registry=Registry())
    return made


def with_defaults(schema: dict[str, Any], instance: Any) -> Any:
    """`instance` with the schema's `default` for each property that is missing, in nested objects and arrays too.

    A default is taken as it is: what is missing inside it stays missing. Defaults behind anyOf, oneOf and if are not
    applied, for which branch holds may depend on them. Returns a new value where something was added.
    """
    if not schema or _is_plain_object(schema) or b'"default"' not in to_json(schema):
        return instance
    try:
        return _filled(schema, instance, schema, frozenset())
    except RecursionError:
        return instance


def _filled(schema: Any, value: Any, root: dict[str, Any], seen: frozenset[int]) -> Any:
    if not isinstance(schema, dict) or id(schema) in seen:
        return value
    seen |= {id(schema)}
    if "$ref" in schema:
        value = _filled(_local(root, schema["$ref"]), value, root, seen)
    for part in schema.get("allOf", ()):
        value = _filled(part, value, root, seen)
    if isinstance(value, dict):
        return _filled_object(schema.get("properties", {}), value, root)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_filled(schema["items"], item, root, frozenset()) for item in value]
    return value


def _filled_object(properties: dict[str, Any], value: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    result = dict(value)
    for name, part in properties.items():
        if name in value:
            result[name] = _filled(part, value[name], root, frozenset())
        elif isinstance(part, dict) and "default" in part:
            result[name] = json.loads(to_json(part["default"]))  # a copy of its own: whoever gets it may change it
    return result


def _local(root: dict[str, Any], reference: str) -> Any:
    """What a JSON pointer in the schema points at; anchors and broken pointers are nothing to take defaults from."""
    node: Any = root
    for escaped in reference.removeprefix("#").split("/")[1:]:
        part = escaped.replace("~1", "/").replace("~0", "~")
        node = node.get(part) if isinstance(node, dict) else None
    return None if node is root and reference != "#" else node


def _is_plain_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" and len(schema) < 8 and schema.keys() - _SAYS_NOTHING == {"type"}


def _fault(error: ValidationError) -> Fault:
    message = _trimmed(error.message)
    if error.context:
        inner = best_match([error])
        if inner is not None and inner is not error:
            message = f"{message} (nearest: {_trimmed(inner.message)})"
    return Fault(tuple(error.absolute_path), message, str(error.validator))


def _trimmed(message: str) -> str:
    # The library puts the whole value in front of what is wrong with it: keep both ends.
    half = _MAX_MESSAGE // 2
    return message if len(message) <= _MAX_MESSAGE else f"{message[:half]}…{message[-half:]}"


def _shown(value: Any) -> str:
    return _trimmed(repr(value)) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


# --- bounds --------------------------------------------------------------------------------------------------------

_spent: ContextVar[int] = ContextVar("_spent", default=0)

Keyword = Callable[[Validator, Any, Any, dict[str, Any]], Iterator[ValidationError] | None]


def _spend(checks: int) -> None:
    spent = _spent.get() + checks
    if spent > MAX_CHECKS:
        raise _Exhausted
    _spent.set(spent)


def _counted(keyword: Keyword) -> Keyword:
    # Every exponential schema (references that name each other twice) and every huge value goes through here.
    def counted(
        validator: Validator, value: Any, instance: Any, schema: dict[str, Any]
    ) -> Iterator[ValidationError] | None:
        _spend(1)
        return keyword(validator, value, instance, schema)

    return counted


def _pattern(validator: Validator, value: str, instance: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string"):
        longest = longest_text(value)
        if len(instance) > longest:
            yield ValidationError(f"a text of {len(instance)} characters is too long for {value!r} (at most {longest})")
        else:
            yield from _ORIGINAL["pattern"](validator, value, instance, schema) or ()


def _unique(validator: Validator, value: bool, instance: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    # The library compares each with each where items cannot be sorted: 20,000 objects took minutes.
    if value and isinstance(instance, list) and len(instance) > _HASHABLE_FROM:
        if len({json.dumps(_number(item), sort_keys=True) for item in instance}) != len(instance):
            yield ValidationError("the list has non-unique elements")
    else:
        yield from _ORIGINAL["uniqueItems"](validator, value, instance, schema) or ()


def _number(value: Any) -> Any:
    """`1.0` and `1` are the same number to a schema, and two texts to us."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _number(inner) for key, inner in value.items()}
    return [_number(inner) for inner in value] if isinstance(value, list) else value


def _enum(validator: Validator, value: Any, instance: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    _spend(len(value) // 10)
    yield from _ORIGINAL["enum"](validator, value, instance, schema) or ()


_ORIGINAL: dict[str, Any] = dict(Draft202012Validator.VALIDATORS)
_Bounded: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        name: _counted(keyword)
        for name, keyword in (_ORIGINAL | {"pattern": _pattern, "uniqueItems": _unique, "enum": _enum}).items()
    },
)


def _matches_names(schema: dict[str, Any]) -> bool:
    return b'"patternProperties"' in to_json(schema)


def _overlong_name(value: Any) -> str:
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            for name, inner in node.items():
                if len(name) > LONGEST_NAME:
                    return str(name)
                pending.append(inner)
        elif isinstance(node, list):
            pending.extend(node)
    return ""
