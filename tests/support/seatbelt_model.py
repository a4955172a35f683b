"""What would macOS's Seatbelt answer, asked with a profile? A model, from what others have measured and published.

It knows the part of the language that our profiles use, and fails on the rest. The last rule that matches counts.
"""

from __future__ import annotations

import functools
import re
from typing import TypeAlias

from orchestrald_sandbox.policy import beneath

Form: TypeAlias = "str | tuple[str, str] | list[Form]"
Profile = tuple[str, dict[str, str]]
TOKEN = re.compile(
    r'\s+|;[^\n]*|(?P<mark>[()])|#"(?P<raw>[^"]*)"|"(?P<text>[^"\\]*)"|(?P<word>[a-z][a-z0-9*-]*|[A-Z_]+|1)'
)

FILE_WRITES = (
    "file-write-create", "file-write-data", "file-write-unlink", "file-write-mode", "file-write-owner",
    "file-write-flags", "file-write-times", "file-write-xattr", "file-write-acl",
)  # fmt: skip


def parse(text: str) -> list[Form]:
    """S-expressions; a string is ("text", its content). Anything that is not the language is an error."""
    open_lists: list[list[Form]] = [[]]
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found is not None, f"not SBPL at {text[at : at + 40]!r}"
        at = found.end()
        if found["mark"] == "(":
            open_lists.append([])
        elif found["mark"] == ")":
            assert len(open_lists) > 1, "one ')' too many"
            done = open_lists.pop()
            open_lists[-1].append(done)
        elif found["word"] is not None:
            open_lists[-1].append(found["word"])
        elif found["text"] is not None or found["raw"] is not None:
            open_lists[-1].append(("text", found["text"] if found["text"] is not None else found["raw"]))
    assert len(open_lists) == 1, "a '(' is not closed"
    return open_lists[0]


def text_of(form: Form, parameters: dict[str, str]) -> str:
    if isinstance(form, tuple):
        return form[1]
    assert isinstance(form, list) and form[0] == "param" and isinstance(form[1], tuple)
    return parameters[form[1][1]]


def found_by(expression: str, path: str) -> bool:
    """As Seatbelt is taken to search: "$" is the very end, and "." and a negated class match a newline too."""
    return _compiled(expression).search(path) is not None


@functools.cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\$(?!\])", r"\\Z", expression), re.DOTALL)


def matches(form: Form, parameters: dict[str, str], about: dict[str, str]) -> bool:  # noqa: C901, PLR0911 one case each
    assert isinstance(form, list)
    kind, *rest = form
    words = [each for each in rest if isinstance(each, str)]
    values = [text_of(each, parameters) for each in rest if isinstance(each, tuple) or each[:1] == ["param"]]
    path = about.get("path")
    match kind:
        case "require-all":
            return all(matches(each, parameters, about) for each in rest)
        case "require-any":
            return any(matches(each, parameters, about) for each in rest)
        case "require-not":
            return not matches(rest[0], parameters, about)
        case "literal":
            return path in values
        case "subpath":
            return path is not None and (path in values or beneath(path, *values))
        case "regex":
            (value,) = values
            return path is not None and found_by(value, path)
        case "target":
            return about.get("target") in words
        case "sysctl-name" | "global-name":
            return about.get("name") in values
        case "sysctl-name-prefix":
            return about.get("name", "").startswith(tuple(values))
        case "remote" | "local":
            assert words == ["ip"]
            return kind in about and (not values or about[kind] in values)
        case "socket-domain":
            return about.get("domain") in words
    raise AssertionError(f"unknown filter {kind!r}")


class Asked:
    """What Seatbelt would answer, by its rule: the last that matches."""

    def __init__(self, profile: Profile) -> None:
        text, self.parameters = profile
        version, *self.rules = parse(text)
        assert version == ["version", "1"]

    def may(self, operation: str, path: str | None = None, **about: str) -> bool:
        facts = about if path is None else about | {"path": path}
        verdict = None
        for rule in self.rules:
            assert isinstance(rule, list)
            named = [each for each in rule[1:] if isinstance(each, str)]
            filters = [each for each in rule[1:] if isinstance(each, list) and each[0] != "with"]
            if any(name in (operation, "default") or self.covers(name, operation) for name in named) and (
                not filters or any(matches(each, self.parameters, facts) for each in filters)
            ):
                verdict = rule[0]
        return verdict == "allow"

    def name(self, value: str) -> Form:
        """The parameter that stands for `value`."""
        (name,) = [each for each, held in self.parameters.items() if held == value]
        return ["param", ("text", name)]

    @staticmethod
    def covers(name: str, operation: str) -> bool:
        return name.endswith("*") and operation.startswith(name[:-1] + "-")

    def writes(self, path: str) -> set[str]:
        return {operation for operation in FILE_WRITES if self.may(operation, path)}

    def may_move(self, path: str, target: str) -> bool:
        return self.may("file-write-unlink", path) and self.may("file-write-create", target)
