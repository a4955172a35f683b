"""Which YAML do we accept?

Rules of this file:

- A tree of JSON values and nothing else: no anchors (ten lines of them are gigabytes), no tags, no duplicate keys,
  one document.
- Plain scalars mean what YAML 1.2 says: `no`, `on`, 12:30 and 2024-01-01 are strings. PyYAML's YAML 1.1 would make a
  boolean of a country code and 750 of a time.
- Every place knows its line, so that a complaint about the content can name it.
"""

import re
from math import isinf
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64

Path = tuple[str | int, ...]

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class NotStrictYaml(ValueError):
    """The text is not YAML as we read it. `line` counts from 1; 0 means the whole text."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class Document(NamedTuple):
    """A value, and the line on which each place in it begins (by path; the value itself by the empty path)."""

    value: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of the place, or of the nearest place around it. 0 when nothing is known."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 0)


def loads(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Document:
    """The one document in `data`. Raises NotStrictYaml, and nothing else."""
    if len(data) > max_bytes:
        raise NotStrictYaml(f"it has {len(data)} bytes; {max_bytes} is the limit")
    try:
        loader = _BASE(data.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise NotStrictYaml(f"byte {e.start} is not UTF-8", data.count(b"\n", 0, e.start) + 1) from None
    except yaml.YAMLError as e:
        raise _complaint(e) from None
    try:
        return _Builder(loader, max_depth).document()
    except yaml.YAMLError as e:
        raise _complaint(e) from None
    finally:
        loader.dispose()


class _Builder:
    def __init__(self, loader: Any, max_depth: int) -> None:
        self._loader = loader
        self._max_depth = max_depth
        self._lines: dict[Path, int] = {}

    def document(self) -> Document:
        self._loader.get_event()  # the stream's start
        if self._loader.check_event(yaml.StreamEndEvent):
            return Document(None, {})
        self._loader.get_event()
        value = self._value(self._loader.get_event(), ())
        self._loader.get_event()
        if not self._loader.check_event(yaml.StreamEndEvent):
            raise NotStrictYaml("a second document begins here; one is read", _line(self._loader.peek_event()))
        return Document(value, self._lines)

    def _value(self, event: Any, path: Path) -> Any:
        line = _line(event)
        self._lines[path] = line
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise NotStrictYaml("anchors and aliases (& and *) are not read; write it out", line)
        if event.tag and event.tag != "!":
            raise NotStrictYaml(f"the tag {event.tag} is not read", line)
        if len(path) > self._max_depth:
            raise NotStrictYaml(f"it is nested deeper than {self._max_depth} levels", line)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, line)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
                items.append(self._value(event, (*path, len(items))))
            return items
        return self._mapping(path)

    def _mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise NotStrictYaml("a key must be a plain or quoted string", line)
            if event.value in result:
                raise NotStrictYaml(f"the key {event.value[:100]!r} occurs twice", line)
            result[event.value] = self._value(self._loader.get_event(), (*path, event.value))
            self._lines[(*path, event.value)] = line
        return result


def _scalar(event: Any, line: int) -> Any:
    text: str = event.value
    if event.style or event.tag == "!":
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return _integer(text, line)
    if _FLOAT.fullmatch(text):
        return _float(text, line)
    if _NO_NUMBER.fullmatch(text):
        raise NotStrictYaml(f"{text} is not a number that JSON has; quote it if it is a string", line)
    return text


def _integer(text: str, line: int) -> int:
    if len(text) <= 20:
        value = int(text, 0) if text[1:2] in ("o", "x") else int(text)
        if abs(value) <= 2**53:
            return value
    raise NotStrictYaml(f"the integer {text[:40]} is beyond ±2^53; quote it if it is a string", line)


def _float(text: str, line: int) -> float:
    value = float(text)
    if isinf(value):
        raise NotStrictYaml(f"the number {text[:40]} is too large; quote it if it is a string", line)
    return value


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _complaint(error: yaml.YAMLError) -> NotStrictYaml:
    mark = getattr(error, "problem_mark", None)
    says = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
    context = getattr(error, "context", None)
    return NotStrictYaml(f"{says} {context}" if context else says, mark.line + 1 if mark else 0)
