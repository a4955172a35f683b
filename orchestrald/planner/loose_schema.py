"""Which shape may an action's parameters have in a plan, where any value may still be a reference?

Portable keywords only: what constrained decoders (llama.cpp's grammars, OpenAI's, vLLM's) all understand. An action's
own patterns, formats and bounds are left to the engine, which knows the values; the one pattern here is that of a
reference, without which a small model writes "number" where a number belongs. An empty schema is never written, for
llama.cpp reads it as "an object".
"""

from typing import Any

from orchestrald.planner.inlined import inlined

TEXT: dict[str, Any] = {"type": "string"}
REFERENCE: dict[str, Any] = {"type": "string", "pattern": r"^\{\{[A-Za-z_][^{}]*\}\}$"}
ANYTHING: dict[str, Any] = {"type": ["string", "number", "boolean", "object", "array", "null"]}

_SIMPLE = frozenset({"number", "integer", "boolean", "null"})


def loosened(input_schema: dict[str, Any], *, refers: bool = True) -> dict[str, Any]:
    """The schema of an action's parameters as a plan may give them: an object, in which a reference may stand for
    anything; not `refers`: there is nothing yet that one could refer to."""
    return _object(inlined(input_schema), refers)


def _object(schema: dict[str, Any], refers: bool) -> dict[str, Any]:
    # One called $ref would be followed by converters that look for references everywhere.
    properties = {name: _value(inner, refers) for name, inner in schema.get("properties", {}).items() if name != "$ref"}
    closed = schema.get("additionalProperties") is False
    made: dict[str, Any] = {"type": "object"}
    if properties or closed:
        made["properties"] = properties
    if required := [name for name in dict.fromkeys(schema.get("required", ())) if name in properties]:
        made["required"] = required
    if properties or closed:
        made["additionalProperties"] = not closed
    return made


def _value(schema: dict[str, Any], refers: bool) -> dict[str, Any]:
    branches = _branches(schema, refers)
    if ANYTHING in branches:
        return ANYTHING
    if refers and TEXT not in branches:
        branches.append(REFERENCE)
    unique = [branch for i, branch in enumerate(branches) if branch not in branches[:i]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique}


def _branches(schema: dict[str, Any], refers: bool) -> list[dict[str, Any]]:
    if "const" in schema:
        return [{"const": schema["const"]}]
    if schema.get("enum"):
        return [{"enum": schema["enum"]}]
    if "anyOf" in schema:
        return [branch for part in schema["anyOf"] for branch in _branches(part, refers)]
    types = schema.get("type", _implied(schema))
    return [_typed(schema, type_, refers) for type_ in ([types] if isinstance(types, str) else types)]


def _typed(schema: dict[str, Any], type_: str, refers: bool) -> dict[str, Any]:
    if type_ in _SIMPLE or type_ == "string":
        return {"type": type_}
    if type_ == "array":
        return {"type": "array", "items": _value(schema["items"], refers)} if "items" in schema else {"type": "array"}
    return _object(schema, refers) if type_ == "object" else ANYTHING


def _implied(schema: dict[str, Any]) -> list[str]:
    if "properties" in schema:
        return ["object"]
    return ["array"] if "items" in schema else ["anything"]
