"""Can this text be used as a manifest, and if not, what is wrong with it: all of it, at once?

Reading a manifest runs nothing and touches no file: listing a stranger's plugin must be safe.
"""

import difflib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from orchestrald.core import schema
from orchestrald.errors import InvalidManifest
from orchestrald.manifest_model import Manifest
from orchestrald.protocol import strict_json
from orchestrald.protocol.foreign_text import plain
from orchestrald.protocol.strict_yaml import MAX_BYTES, Document, NotStrictYaml
from orchestrald.protocol.strict_yaml import loads as load_yaml

FILE_NAMES = ("plugin.yaml", "plugin.yml", "plugin.json")
MAJOR = 1
_MAX_PROBLEMS = 20


class Parsed(NamedTuple):
    """A manifest that can be used, and what its author should still hear about."""

    manifest: Manifest
    warnings: tuple[str, ...] = ()


class _Problem(NamedTuple):
    where: tuple[str | int, ...]
    says: str


def parse(data: bytes, folder_name: str, file_name: str = "plugin.yaml") -> Parsed:
    """The manifest of the plugin in a folder of that name. Raises InvalidManifest, whose data has every problem."""
    return check(_load(data, file_name), folder_name, file_name)


def check(document: Document, folder_name: str, file_name: str) -> Parsed:
    """The same for a manifest that has been read already, or was made."""
    raw = document.value
    problems = _version(raw)
    manifest = None
    if not problems:
        try:
            manifest = Manifest.model_validate(raw)
        except ValidationError as e:
            problems = [_Problem(_known(raw, error["loc"]), _say(error)) for error in e.errors(include_url=False)]
        else:
            problems = list(_beyond_shape(manifest, folder_name))
    if problems or manifest is None:
        raise _invalid(file_name, document, problems)
    return Parsed(manifest, tuple(_warnings(manifest)))


def _load(data: bytes, file_name: str) -> Document:
    if len(data) > MAX_BYTES:
        raise InvalidManifest(f"{file_name} has {len(data)} bytes; {MAX_BYTES} is the limit")
    try:
        if file_name.endswith(".json"):
            return Document(strict_json.loads(data), {})
        return load_yaml(data)
    except (NotStrictYaml, strict_json.NotStrictJson) as e:
        line = getattr(e, "line", 0)
        raise InvalidManifest(f"{file_name}: {plain(str(e))}", data={"file": file_name, "line": line}) from None


def _version(raw: Any) -> list[_Problem]:
    if not isinstance(raw, dict):
        return [_Problem((), "a manifest is a mapping that begins with `manifest: 1`")]
    major = raw.get("manifest")
    if isinstance(major, bool):
        return [_Problem(("manifest",), f"must be {MAJOR}")]  # True == 1, so nobody else would notice
    if isinstance(major, int) and major != MAJOR:
        return [_Problem(("manifest",), f"version {major} is not one that this orchestrald reads (it reads {MAJOR})")]
    return []


def _beyond_shape(manifest: Manifest, folder_name: str) -> Iterator[_Problem]:
    if manifest.name != folder_name:
        yield _Problem(("name",), f"{manifest.name!r} is not the name of its folder, {plain(folder_name, 100)!r}")
    if manifest.runtime.mode != "oneshot":
        mode = manifest.runtime.mode
        yield _Problem(("runtime", "mode"), f"{mode} is not yet supported by this version; use oneshot")
    elif not manifest.actions:
        yield _Problem(("actions",), "a plugin has at least one action")
    yield from _sandbox_problems(manifest)
    seen: set[str] = set()
    for i, action in enumerate(manifest.actions):
        if action.name in seen:
            yield _Problem(("actions", i, "name"), f"there are two actions named {action.name!r}")
        seen.add(action.name)
        for key in ("input_schema", "output_schema"):
            for problem in schema.check(getattr(action, key)):
                yield _Problem(("actions", i, key), problem)


def _sandbox_problems(manifest: Manifest) -> Iterator[_Problem]:
    net = manifest.sandbox.net
    if (net.mode == "allow") != bool(net.allow):
        yield _Problem(("sandbox", "net"), "mode allow and a list `allow` of host:port belong together")
    for side in ("read", "write"):
        for i, path in enumerate(getattr(manifest.sandbox.fs, side)):
            if ".." in PurePosixPath(path).parts:
                yield _Problem(("sandbox", "fs", side, i), f"{path!r} leaves its folder")


def _warnings(manifest: Manifest) -> Iterator[str]:
    yield from _unknown_keys(manifest, "")
    for i, action in enumerate(manifest.actions):
        for j, example in enumerate(action.examples):
            for fault in schema.errors(action.input_schema, example.input)[:1]:
                yield f"actions[{i}].examples[{j}].input does not fit the input_schema: {fault.message}"
            for fault in schema.errors(action.output_schema, example.output)[:1] if example.output is not None else ():
                yield f"actions[{i}].examples[{j}].output does not fit the output_schema: {fault.message}"
    for needed in manifest.requires.bins:
        if needed.min is not None:
            yield f"requires.bins: the version of {needed.name} is not checked, because that would run it"


def _unknown_keys(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _unknown_keys(inner, f"{path}[{i}]")
    if not isinstance(value, BaseModel):
        return
    known = type(value).model_fields
    for key in value.model_extra or {}:
        if not key.startswith("x-"):
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            yield f"unknown key {plain(f'{path}.{key}'.lstrip('.'), 200)}{meant}"
    for name in known:
        yield from _unknown_keys(getattr(value, name), f"{path}.{name}".lstrip("."))


def _say(error: Any) -> str:
    kind, given = error["type"], error.get("input")
    if kind == "missing":
        return "this key is missing"
    says = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "string_type" and isinstance(given, int | float):
        return f"must be a string; write it in quotes: '{given}'"
    if kind == "string_pattern_mismatch":
        return f"must match {error['ctx']['pattern']}, not {plain(repr(given), 60)}"
    if kind == "bool_type":
        return f"must be true or false, not {plain(repr(given), 60)}"
    shown = f", not {plain(repr(given), 60)}" if isinstance(given, str | int | float | None) else ""
    return f"must be {says}{shown}" if error["msg"].startswith("Input should be") else f"{says}{shown}"


def _known(raw: Any, where: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of an error's path that is in the manifest; pydantic adds marks of its own, such as `[key]`."""
    path: list[str | int] = []
    for part in where:
        path.append(part)
        in_mapping = isinstance(raw, dict) and part in raw
        if not in_mapping and not (isinstance(raw, list) and isinstance(part, int) and part < len(raw)):
            break
        raw = raw[part]
    return tuple(path)


def _invalid(file_name: str, document: Document, problems: list[_Problem]) -> InvalidManifest:
    told = [
        {"path": _spell(where), "line": document.line_of(where), "message": plain(says, 500)}
        for where, says in problems[:_MAX_PROBLEMS]
    ]
    first = told[0]
    place = f"{file_name} line {first['line']}" if first["line"] else file_name
    path = f"{first['path']}: " if first["path"] else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidManifest(
        f"{place}: {path}{first['message']}{more}",
        hint="PROTOCOL.md lists every key of a manifest.",
        data={"file": file_name, "problems": told},
    )


def _spell(where: tuple[str | int, ...]) -> str:
    named = (part for part in where if part != "[key]")
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named).lstrip(".")
