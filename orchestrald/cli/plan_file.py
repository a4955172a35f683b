"""What plan does a file hold?

YAML is read when PyYAML is installed (it is wherever the daemon is); JSON always is. Errors say line and column.
"""

from __future__ import annotations

import json
import sys

from orchestrald.cli.command import BadInput
from orchestrald.cli.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUFFIXES = (".json", ".yaml", ".yml")


def read_plan(path: str) -> Any:
    """The plan in the file, or on stdin for `-`: untrusted, the daemon checks it. Raises BadInput."""
    name = "the plan on stdin" if path == "-" else path
    try:
        if path == "-":
            raw = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                raw = file.read()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}.") from None
    return parse_plan(text, name, is_json=path.endswith(".json") or text.lstrip()[:1] in {"{", "["})


def parse_plan(text: str, name: str, *, is_json: bool) -> Any:
    """The value of the text. `name` is what errors call it."""
    if not text.strip():
        raise BadInput(f"{name} is empty.", "A plan has at least `steps:`; orchestral run --help shows one.")
    return _json(text, name) if is_json else _yaml(text, name)


def _json(text: str, name: str) -> Any:
    def refuse(word: str) -> None:
        raise BadInput(f"{name} holds {word}, which is not JSON.")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            _line(text, error.lineno, error.colno),
        ) from None
    except RecursionError:
        raise BadInput(f"{name} is nested too deeply.") from None


def _yaml(text: str, name: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise BadInput(f"{name} is not JSON, and PyYAML is not installed to read it as YAML.") from None

    class Loader(yaml.SafeLoader):
        """YAML as JSON knows it: a date stays the text that was written, and nothing is said twice by an alias."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                # Ten lines of aliases to aliases are gigabytes, and hang whoever counts them afterwards.
                raise yaml.composer.ComposerError(
                    None,
                    None,
                    "aliases (*name) are not read, write it out",
                    self.peek_event().start_mark,  # type: ignore[no-untyped-call]
                )
            return super().compose_node(parent, index)

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        value = yaml.load(text, Loader=Loader)  # noqa: S506 -- it is a SafeLoader
        json.dumps(value, allow_nan=False)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        if mark is None:
            raise BadInput(f"{name} is not YAML: {safe(what)}.") from None
        raise BadInput(
            f"{name} is not YAML: {safe(what)} at line {mark.line + 1}, column {mark.column + 1}.",
            _line(text, mark.line + 1, mark.column + 1),
        ) from None
    except yaml.YAMLError as error:
        raise BadInput(f"{name} is not YAML: {safe(error)}.") from None
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} holds what JSON cannot: {safe(error)}.") from None
    except RecursionError:
        raise BadInput(f"{name} is nested too deeply.") from None
    return value


def _line(text: str, number: int, column: int) -> str:
    """The faulty line with a mark under the place."""
    lines = text.split("\n")
    if not 0 < number <= len(lines):
        return ""
    shown = safe(lines[number - 1].replace("\t", " "))[:100]
    return f"{number:>5} | {shown}\n" + " " * (7 + min(column, 101)) + "^"
