"""How do a step's parameters name what earlier steps left behind?

`{{step.key.path[0]}}` names a value in the output of `step`; `{{step}}` is the whole output. A string that is exactly
one placeholder keeps the value's JSON type; embedded ones are rendered as text. `{{{{` is a literal `{{`.
Inside a `for_each` step, `{{item}}` and `{{index}}` name the present item. A step that was skipped counts as null, and
so does every path into it.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

_ROOT = r"[A-Za-z_][A-Za-z0-9_-]*"
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_INDEX = re.compile(r"[0-9]{1,9}")
"""Not `\\d` and `isdigit`, which take "²" for a number; and `int` refuses texts of thousands of digits."""
# No braces in a quoted key: a template is cut at the first `}}`, wherever it stands.
_REFERENCE = re.compile(rf"\s*({_ROOT})((?:\.{_WORD.pattern}|\[{_INDEX.pattern}\]|\[\"[^\"\]{{}}]*\"\])*)\s*")
_PART = re.compile(rf"\.({_WORD.pattern})|\[({_INDEX.pattern})\]|\[\"([^\"\]{{}}]*)\"\]")

Path = tuple[str | int, ...]
Lookup = Callable[[str], Any]
"""Root name to value; raises KeyError for a name that means nothing."""


class Reference(NamedTuple):
    root: str
    path: Path

    def __str__(self) -> str:
        return self.root + "".join(map(_spelled, self.path))


def _spelled(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _WORD.fullmatch(part) else f'["{part}"]'


class BadReference(ValueError):
    """The text between the braces is not a reference, or the braces are never closed."""


class MissingValue(LookupError):
    """The reference names a key or an index that the value does not have."""


@lru_cache(maxsize=65536)
def parse(text: str) -> tuple[str | Reference, ...]:
    """Literal pieces and references in order. Raises BadReference. Empty text is no piece at all."""
    parts: list[str | Reference] = []
    literal = ""
    position = 0
    while True:
        start = text.find("{{", position)
        if start < 0:
            literal += text[position:]
            break
        literal += text[position:start]
        if text.startswith("{{{{", start):
            literal += "{{"
            position = start + 4
            continue
        end = text.find("}}", start + 2)
        if end < 0:
            raise BadReference("{{ is never closed; write {{{{ for literal braces")
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(parse_reference(text[start + 2 : end]))
        position = end + 2
    if literal:
        parts.append(literal)
    return tuple(parts)


def parse_reference(text: str) -> Reference:
    """`step.key[0]` without braces. Raises BadReference."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise BadReference(
            f"{text.strip()!r} is not a reference such as step.key[0]; write {{{{{{{{ for literal braces"
        )
    path = tuple(
        int(index) if index else key or quoted for key, index, quoted in (m.groups() for m in _PART.finditer(match[2]))
    )
    return Reference(match[1], path)


def references(value: Any) -> Iterator[tuple[Path, Reference]]:
    """Every reference in a JSON value with the path of the string that holds it. Raises BadReference."""
    for path, text in templates(value):
        yield from ((path, part) for part in parse(text) if isinstance(part, Reference))


def templates(value: Any) -> Iterator[tuple[Path, str]]:
    """Every string in a JSON value that `parse` has something to say about, with its path."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, str):
            if "{{" in node:
                yield path, node
        elif isinstance(node, dict):
            stack.extend(((*path, key), child) for key, child in reversed(node.items()))
        elif isinstance(node, list | tuple):
            stack.extend(((*path, i), child) for i, child in reversed(list(enumerate(node))))


def is_dynamic(value: Any) -> bool:
    """Whether `resolve` would change the value: it holds a reference or an escape."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, dict):
        return any(is_dynamic(child) for child in value.values())
    if isinstance(value, list | tuple):
        return any(is_dynamic(child) for child in value)
    return False


def follow(value: Any, reference: Reference) -> Any:
    """The value at the reference's path. Raises MissingValue, saying which part of the path is not there."""
    if value is None:
        return None
    for depth, part in enumerate(reference.path):
        try:
            if isinstance(value, dict):
                value = value[str(part)]
            elif isinstance(value, list) and _INDEX.fullmatch(str(part)):
                value = value[int(part)]
            else:
                raise KeyError(part)
        except (KeyError, IndexError):
            seen = Reference(reference.root, reference.path[:depth])
            raise MissingValue(f"{{{{{reference}}}}} has no value: {seen} {_describe(value, part)}") from None
    return value


def resolve(value: Any, lookup: Lookup) -> Any:
    """The value with every reference replaced. Raises MissingValue; BadReference cannot happen after `normalize`."""
    if isinstance(value, str):
        return _resolve_text(value, lookup) if "{{" in value else value
    if isinstance(value, dict):
        return {key: resolve(child, lookup) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(child, lookup) for child in value]
    return value


def _resolve_text(text: str, lookup: Lookup) -> Any:
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return _value(parts[0], lookup)
    return "".join(part if isinstance(part, str) else render(_value(part, lookup)) for part in parts)


def _value(reference: Reference, lookup: Lookup) -> Any:
    try:
        root = lookup(reference.root)
    except KeyError:
        raise MissingValue(f"{{{{{reference}}}}} has no value: nothing here is called {reference.root}") from None
    return follow(root, reference)


def render(value: Any) -> str:
    """A value inside a longer text: strings as they are, null as nothing, the rest as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rename(value: Any, names: dict[str, str]) -> Any:
    """The value with the roots of its references renamed, and everything else (escapes included) as it was."""
    if isinstance(value, str):
        if "{{" not in value:
            return value
        return "".join(
            part.replace("{{", "{{{{")
            if isinstance(part, str)
            else f"{{{{{part._replace(root=names.get(part.root, part.root))}}}}}"
            for part in parse(value)
        )
    if isinstance(value, dict):
        return {key: rename(child, names) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [rename(child, names) for child in value]
    return value


def _describe(value: Any, part: str | int) -> str:
    if isinstance(value, dict):
        keys = ", ".join(sorted(map(str, value))[:8]) or "no keys at all"
        return f"has no key {part!r} (it has {keys})"
    if isinstance(value, list):
        return f"has {len(value)} items, so no {part!r}"
    return f"is not an object but {json.dumps(value)[:40]}"
