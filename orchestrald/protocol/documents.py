"""How do we read a YAML document that a person or a model wrote?

Strictly: a duplicate key, an alias (the "billion laughs" bomb), a tag or anything that JSON has no word for is an error
with its line, because a document that means something else than its author thinks is worse than none.
"""

from typing import Any

import yaml

MAX_DEPTH = 64


class DocumentError(ValueError):
    """The document cannot be read; the message says where and why."""


class _Strict(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, duplicate keys, timestamps and other values that JSON cannot carry."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise _at(self.peek_event().start_mark, "aliases (*name) are not read; write the value again")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _at(self.peek_event().start_mark, f"nested deeper than {MAX_DEPTH} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _at(key_node.start_mark, "a key must be a plain word")
            if key_node.value in seen:
                raise _at(key_node.start_mark, f"the key {key_node.value!r} is there twice")
            seen.add(key_node.value)
        return {str(k): v for k, v in super().construct_mapping(node, deep=True).items()}


_Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """The document as JSON-like values. JSON is YAML, so it is read too. Raises DocumentError with line and column."""
    try:
        loader = _Strict(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise DocumentError(str(error).splitlines()[0]) from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"cannot be read: {error}") from error


def _at(mark: yaml.Mark, message: str) -> DocumentError:
    return DocumentError(f"line {mark.line + 1}, column {mark.column + 1}: {message}")
