"""Which plan does a playbook make of this intent?

A playbook is a YAML file: phrases with `{parameters}`, what those parameters may be, and a plan template in which
`{{params.name}}` stands for them. An intent that fits none, or two, is answered with what is nearest and what each
does; nothing is guessed.
"""

import difflib
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrald.core import schema
from orchestrald.core.filling import fill
from orchestrald.core.references import MissingValue
from orchestrald.errors import ConfigError, NoPlaybook
from orchestrald.planner.base import Proposal, Request
from orchestrald.protocol.strict_yaml import NotStrictYaml, loads

log = logging.getLogger("orchestrald.planner")

MOST_SHOWN = 400
"""Characters of an intent that are quoted, and looked at for what is nearest: it may be a whole document."""

_HOLE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


class OnFailure(BaseModel):
    """What is done instead of a step that failed and of everything downstream of it. `of` empty means: of any step.

    Its steps may refer to those that stay, to `{{params.x}}`, and to `{{failed.step}}`, `{{failed.code}}` and
    `{{failed.message}}`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    of: tuple[str, ...] = ()
    steps: list[dict[str, Any]] = Field(min_length=1)


class Playbook(BaseModel):
    """One playbook file. `params` holds a JSON Schema per parameter; one without a default must be in the phrase."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    playbook: int = Field(1, ge=1, le=1)
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    description: str = ""
    phrases: tuple[str, ...] = Field(min_length=1)
    params: dict[str, dict[str, Any]] = {}
    plan: dict[str, Any]
    on_failure: OnFailure | None = None


class _Phrase(NamedTuple):
    text: str
    pattern: re.Pattern[str]


class Playbooks:
    """The playbooks of some folders. A name found in a later folder replaces the earlier one: the user's wins."""

    replans = False

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._books: dict[str, tuple[Playbook, list[_Phrase]]] = {}
        self._seen: list[tuple[Path, int, int]] = []

    def changed(self) -> bool:
        """Whether a file came, went, or was written since `reload`. Looks at the disk."""
        return self._seen != self._look()

    def _look(self) -> list[tuple[Path, int, int]]:
        files = (path for folder in self._folders for path in sorted(folder.glob("*.y*ml")))
        return [(path, (found := path.stat()).st_mtime_ns, found.st_size) for path in files]

    def reload(self) -> list[str]:
        """Read the folders again. Returns one line per file that cannot be used; the others are in force."""
        faults: list[str] = []
        books: dict[str, tuple[Playbook, list[_Phrase]]] = {}
        self._seen = self._look()
        for path, _, _ in self._seen:
            try:
                book = read(path.read_text(encoding="utf-8"), str(path))
            except (ConfigError, OSError, UnicodeDecodeError) as error:
                faults.append(str(error))
                log.warning("playbook left out: %s", error)
                continue
            books[book.name] = (book, [_Phrase(text, _compile(text)) for text in book.phrases])
        self._books = books
        return faults

    def __len__(self) -> int:
        return len(self._books)

    async def propose(self, request: Request) -> Proposal:
        """The plan of the one playbook that fits, or its steps for a failure. Raises NoPlaybook, with the nearest
        phrases, otherwise."""
        book, found = self._fitting(_tidy(request.intent))
        arguments = _arguments(book, found)
        instead = book.on_failure
        if not request.failed_step:
            return Proposal(_filled(book.plan, "params", arguments), f"playbook:{book.name}", instead is not None)
        if instead is None or (instead.of and request.failed_step not in instead.of):
            raise NoPlaybook(f"The playbook {book.name} says nothing about a failure of {request.failed_step}.")
        failed = {"step": request.failed_step, "code": "", "message": "", **(request.failure or {})}
        steps = _filled(_filled(instead.steps, "failed", failed), "params", arguments)
        return Proposal({"steps": steps}, f"playbook:{book.name}")

    def _fitting(self, intent: str) -> tuple[Playbook, dict[str, str]]:
        fitting = [(book, found) for book, phrases in self._books.values() if (found := _match(phrases, intent))]
        shown = intent if len(intent) <= MOST_SHOWN else f"{intent[:MOST_SHOWN]}…"
        if not fitting:
            raise NoPlaybook(
                f"No playbook fits {shown!r}." if self._books else "There are no playbooks yet.",
                hint="Say one of the nearest phrases, or hand over a plan.",
                data={"nearest": self._nearest(shown)},
            )
        if len(fitting) > 1:
            names = " and ".join(book.name for book, _ in fitting)
            nearest = [{"phrase": book.phrases[0], "says": book.description} for book, _ in fitting]
            raise NoPlaybook(f"More than one playbook fits {shown!r}: {names}.", data={"nearest": nearest})
        return fitting[0]

    def _nearest(self, intent: str) -> list[dict[str, str]]:
        said = {p.text: book.description for book, phrases in self._books.values() for p in phrases}
        likeness = {text: difflib.SequenceMatcher(None, intent.lower(), text.lower()).ratio() for text in said}
        best = sorted(said, key=lambda text: (-likeness[text], text))[:5]
        return [{"phrase": text, "says": said[text]} for text in best]


def bundled() -> Path:
    """The playbooks that come with us: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).parents[1] / "playbooks"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "configs" / "playbooks"


def read(text: str, name: str) -> Playbook:
    """A playbook from its text. Raises ConfigError with every fault."""
    try:
        book = Playbook.model_validate(loads(text.encode()).value)
    except NotStrictYaml as error:
        raise ConfigError(f"{name}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigError(f"{name}: {faults}") from error
    for phrase in book.phrases:
        for hole in _HOLE.findall(phrase):
            if hole not in book.params:
                raise ConfigError(f"{name}: the phrase {phrase!r} has {{{hole}}}, which params does not describe")
    for parameter, shape in book.params.items():
        for problem in schema.check(shape):
            raise ConfigError(f"{name}: params.{parameter}: {problem}")
    return book


def _compile(phrase: str) -> re.Pattern[str]:
    pieces = _HOLE.split(_tidy(phrase))
    # Odd pieces are the names of holes. A hole takes as little as it can, but at least something.
    pattern = "".join(f"(?P<{p}>.+?)" if i % 2 else re.escape(p) for i, p in enumerate(pieces))
    return re.compile(pattern, re.IGNORECASE)


def _match(phrases: list[_Phrase], intent: str) -> dict[str, str] | None:
    found = next((m for p in phrases if (m := p.pattern.fullmatch(intent))), None)
    return {name: _unquote(value) for name, value in found.groupdict().items()} | {"": ""} if found else None


def _arguments(book: Playbook, found: dict[str, str]) -> dict[str, Any]:
    """The parameters' values, by their schemas. Raises NoPlaybook naming what does not fit."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, shape in book.params.items():
        if name in found:
            values[name] = _typed(found[name], shape)
        elif "default" in shape:
            values[name] = shape["default"]
        else:
            faults.append(f"{name} is missing")
            continue
        faults += [f"{name}: {fault.message}" for fault in schema.errors(shape, values[name])]
    if faults:
        nearest = [{"phrase": phrase, "says": book.description} for phrase in book.phrases]
        raise NoPlaybook(f"The playbook {book.name} cannot be used: {'; '.join(faults)}.", data={"nearest": nearest})
    return values


def _typed(text: str, shape: dict[str, Any]) -> Any:
    """Words are text; a schema that asks for a number or a truth value gets one where the words are one."""
    kind = shape.get("type")
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if kind == "boolean" and text.lower() in {"yes", "no", "true", "false"}:
        return text.lower() in {"yes", "true"}
    return text


def _filled(template: Any, root: str, arguments: dict[str, Any]) -> Any:
    """The template with `{{root.x}}` replaced; every other reference stays for the executor."""
    try:
        return fill(template, root, arguments)
    except MissingValue as error:
        raise NoPlaybook(f"The playbook's plan uses a {root} value that it does not have: {error}") from error


def _tidy(text: str) -> str:
    """One space between words, and no full stop behind the last one (a lone `.` is a folder, not a full stop)."""
    return re.sub(r"(?<=\w)[.!?]+$", "", " ".join(text.split()))


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
