"""What does an action's schema say once its references are written out?

For reading only: by the model, as a card and as the shape of its answer. What cannot be said simply becomes "anything";
the engine checks the parameters against the real schema. References that lead in circles, and schemas that would grow
without end, stop after a bounded number of parts.
"""

from typing import Any

MAX_PARTS = 2_000
MAX_DEPTH = 8


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without `$ref`, `allOf` and `oneOf`: written out, merged, and said as `anyOf`."""
    return _Inliner(schema).part(schema, 0)


class _Inliner:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._parts = 0

    def part(self, schema: Any, depth: int) -> dict[str, Any]:
        self._parts += 1
        if not isinstance(schema, dict) or depth > MAX_DEPTH or self._parts > MAX_PARTS:
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            there = self.part(self._target(reference), depth + 1)
            return _merged(there, self.part({k: v for k, v in schema.items() if k != "$ref"}, depth + 1))
        made = {
            key: schema[key] for key in ("type", "enum", "const", "required", "default", "description") if key in schema
        }
        if isinstance(properties := schema.get("properties"), dict):
            made["properties"] = {name: self.part(inner, depth + 1) for name, inner in properties.items()}
        if isinstance(items := schema.get("items"), dict):
            made["items"] = self.part(items, depth + 1)
        if isinstance(rest := schema.get("additionalProperties"), bool):
            made["additionalProperties"] = rest
        for keyword in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(keyword), list) and branches:
                made["anyOf"] = [self.part(branch, depth + 1) for branch in branches]
        for branch in schema.get("allOf") or ():
            made = _merged(made, self.part(branch, depth + 1))
        return made

    def _target(self, reference: str) -> Any:
        node: Any = self._root
        if not reference.startswith("#/"):
            return node if reference == "#" else None
        for escaped in reference[2:].split("/"):
            name = escaped.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, dict) else None
        return node


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both at once, as far as it can be said: the second has the last word where they disagree."""
    made = {**one, **other}
    if "properties" in one and "properties" in other:
        made["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        made["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    if False in (one.get("additionalProperties"), other.get("additionalProperties")) and one and other:
        made.pop("additionalProperties", None)  # each closes over its own properties only: together they need not
    return made
