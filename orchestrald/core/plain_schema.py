"""Does this value fit so plainly that the full validator need not be asked?

Most schemas are flat: an object with typed properties. For those a few comparisons in plain Python say *yes* in a
microsecond where the validator takes seventy, three times per step. Nobody is refused here: whatever does not fit, or
is not flat, is the validator's to judge and to explain.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

Test = Callable[[Any], bool]

_TYPES: dict[str, Test] = {
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) is int or type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "null": lambda value: value is None,
}
_SILENT = frozenset({"title", "description", "default", "examples", "$schema", "$comment", "deprecated"})
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minLength": lambda value, bound: type(value) is str and len(value) >= bound,
    "maxLength": lambda value, bound: type(value) is str and len(value) <= bound,
    "minItems": lambda value, bound: type(value) is list and len(value) >= bound,
    "maxItems": lambda value, bound: type(value) is list and len(value) <= bound,
    "minimum": lambda value, bound: type(value) in (int, float) and value >= bound,
    "maximum": lambda value, bound: type(value) in (int, float) and value <= bound,
}


def plainly_fits(schema_text: bytes, value: Any) -> bool:
    """True only when the value fits the schema (given as its JSON text) for certain; False says nothing."""
    test = _object(schema_text)
    return test is not None and test(value)


@lru_cache(maxsize=512)
def _object(schema_text: bytes) -> Test | None:
    """A test for a flat object schema; missing when the schema says anything that we do not understand."""
    schema = from_json(schema_text)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return None
    known = {"type", "properties", "required", "additionalProperties"}
    if schema.keys() - known - _SILENT or schema.get("additionalProperties", True) not in (True, False):
        return None
    tests = {name: _property(part) for name, part in schema.get("properties", {}).items()}
    required: list[str] = schema.get("required", [])
    closed = schema.get("additionalProperties", True) is False

    def fits(value: Any) -> bool:
        if type(value) is not dict or any(name not in value for name in required):
            return False
        for name, item in value.items():
            test = tests.get(name)
            if test is None:
                if name in tests or closed:
                    return False  # a property that we do not understand, or one that may not be there
            elif not test(item):
                return False
        return True

    return fits


def _property(schema: Any) -> Test | None:
    """A test for one property; missing when only the validator can judge it."""
    if not isinstance(schema, dict) or not isinstance(schema.get("type"), str):
        return None
    if schema.keys() - {"type", "items"} - _SILENT - _BOUNDS.keys():
        return None
    tests: list[Test] = [_TYPES[schema["type"]]]
    tests += [_bounded(_BOUNDS[name], bound) for name, bound in schema.items() if name in _BOUNDS]
    if "items" in schema:
        each = _property(schema["items"])
        if each is None:
            return None
        tests.append(lambda value: type(value) is list and all(map(each, value)))
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _bounded(compare: Callable[[Any, Any], bool], bound: Any) -> Test:
    return lambda value: compare(value, bound)
