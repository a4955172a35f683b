"""Which JSON Schemas do we use at all?

Schemas come from strangers: a manifest, a plan, a plugin's question. What could fetch a file, freeze the matcher or
grow without end is refused when it is handed in, so that using it later needs no thought.
"""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic_core import to_json
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from orchestrald.core.patterns import Dangerous, longest_text

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_EXPANDED = 50_000
"""Subschemas with every `$ref` written out: twenty definitions that each name the next one twice are a million."""
LONGEST_NAME = 512
"""Property names longer than this are not matched against `patternProperties`."""

Where = tuple[str | int, ...]


def check(schema: Any) -> list[str]:
    """Every reason not to use this schema, each with the place it is about; empty when it is fine. Never raises."""
    if not isinstance(schema, dict):
        return ["a schema must be an object"]
    problem = _oversize(schema)
    if problem:
        return [problem]
    try:
        error = best_match(_METASCHEMA.iter_errors(schema))
    except RecursionError:
        return [f"the schema is nested deeper than {MAX_DEPTH} levels"]
    if error is not None:
        return [f"{_spell(tuple(error.absolute_path))}: {error.message[:300]}"]
    return _Check(schema).run()


_METASCHEMA = Draft202012Validator(Draft202012Validator.META_SCHEMA)


def _oversize(schema: dict[str, Any]) -> str:
    try:
        size = len(to_json(schema, inf_nan_mode="constants"))
    except (ValueError, RecursionError):
        return "the schema holds something that JSON cannot carry, or is nested too deep"
    if size > MAX_BYTES:
        return f"the schema has {size} bytes; {MAX_BYTES} is the limit"
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
    return f"the schema is nested deeper than {MAX_DEPTH} levels" if level else ""


def _children(node: Any) -> Iterator[Any]:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return (child for child in inner if isinstance(child, dict | list))


class _Check:
    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        resource = DRAFT202012.create_resource(schema)
        self._resolver = Registry().with_resource("", resource).resolver("")
        self._problems: list[str] = []
        self._sizes: dict[int, int] = {}

    def run(self) -> list[str]:
        self._visit(self._schema)
        if not self._problems and self._sizes[id(self._schema)] > MAX_EXPANDED:
            self._problems.append(f"with every $ref written out the schema has more than {MAX_EXPANDED} parts")
        return self._problems

    def _visit(self, schema: Any) -> int:
        """How large this part is with references written out. A reference to a part that is being visited counts 1."""
        if not isinstance(schema, dict):
            return 1
        known = self._sizes.get(id(schema))
        if known is not None:
            return known
        self._sizes[id(schema)] = 1
        size = 1
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema:
                size += self._visit(self._target(keyword, schema[keyword]))
        self._keywords(schema)
        # A part reached by reference alone (draft 7's `definitions`) is no subresource of 2020-12, hence both ways.
        size += sum(self._visit(part) for part in DRAFT202012.subresources_of(schema))
        self._sizes[id(schema)] = size
        return size

    def _target(self, keyword: str, reference: str) -> Any:
        if not reference.startswith("#"):
            self._problems.append(f"{keyword} {reference[:200]!r} leaves the schema; only #... is followed")
            return None
        try:
            return self._resolver.lookup(reference).contents
        except (Unresolvable, ValueError, TypeError, LookupError):
            self._problems.append(f"{keyword} {reference[:200]!r} points at nothing")
            return None

    def _keywords(self, schema: dict[str, Any]) -> None:
        if schema is not self._schema and "$id" in schema:
            self._problems.append(f"$id {str(schema['$id'])[:200]!r}: only the whole schema may have one")
        if "pattern" in schema:
            self._pattern(schema["pattern"], 1)
        for name in schema.get("patternProperties", ()):
            self._pattern(name, LONGEST_NAME)

    def _pattern(self, pattern: str, least: int) -> None:
        try:
            longest = longest_text(pattern)
        except Dangerous as e:
            self._problems.append(f"pattern {pattern[:100]!r}: {e}")
        else:
            if longest < least:
                says = f"names may have {least} characters, and it can only be matched safely against {longest}"
                self._problems.append(f"pattern {pattern[:100]!r}: {says}")


def _spell(where: Where) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    return path or "the schema"
