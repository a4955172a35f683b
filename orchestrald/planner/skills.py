"""Which skills has the operator written down, and which of them speak of this intent?

A skill is a folder with a SKILL.md: YAML between two lines of `---`, with a name and a description, and then the body
in any words. A planner is told names and descriptions, and a body when it asks for it. They are the operator's own
words, hence not marked as data, though secrets in them are hidden. What cannot be used is named and left out; nothing
is raised.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrald.planner.ranking import rank
from orchestrald.protocol.strict_yaml import NotStrictYaml, loads

log = logging.getLogger("orchestrald.planner")

MAX_BYTES = 64 * 1024
MAX_SKILLS = 200
MAX_DESCRIPTION = 1024
MOST_LISTED = 20

_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)(.*)", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Skill(NamedTuple):
    name: str
    description: str
    body: str


class BadSkill(ValueError):
    """The file is no skill; the message says why."""


class Skills:
    """The skills of some folders. A name found in a later folder replaces the earlier one: the user's wins."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._skills: dict[str, Skill] = {}
        self._seen: list[tuple[Path, int, int]] = []

    def changed(self) -> bool:
        """Whether a skill came, went, or was written since `reload`. Looks at the disk."""
        return self._seen != list(self._look())

    def reload(self) -> list[str]:
        """Read the folders again. Returns one line per skill that cannot be used; the others are in force."""
        faults: list[str] = []
        skills: dict[str, Skill] = {}
        self._seen = list(self._look())
        for path, _, _ in self._seen[:MAX_SKILLS]:
            try:
                skill = read(_content(path))
            except (BadSkill, OSError) as error:
                faults.append(f"{path}: {error}")
                continue
            skills[skill.name] = skill
        if len(self._seen) > MAX_SKILLS:
            faults.append(f"{len(self._seen) - MAX_SKILLS} skills are left out: {MAX_SKILLS} is the limit")
        for fault in faults:
            log.warning("skill left out: %s", fault)
        self._skills = skills
        return faults

    def _look(self) -> Iterator[tuple[Path, int, int]]:
        for folder in self._folders:
            for path in sorted(folder.glob("*/SKILL.md")):
                try:
                    found = path.stat()
                except OSError:  # it went meanwhile, or a link leads nowhere
                    continue
                yield path, found.st_mtime_ns, found.st_size

    def __len__(self) -> int:
        return len(self._skills)

    def listed(self, query: str) -> list[Skill]:
        """Those that a planner is told of, the likeliest first."""
        names = rank({name: skill.description for name, skill in self._skills.items()}, query)
        return [self._skills[name] for name in names[:MOST_LISTED]]


def read(text: str) -> Skill:
    """A skill from its text. Raises BadSkill."""
    parts = _FRONT.fullmatch(text)
    if parts is None:
        raise BadSkill("it does not begin with YAML between two lines of ---")
    try:
        front = loads(parts[1].encode()).value
    except NotStrictYaml as error:
        raise BadSkill(str(error)) from error
    name, description = (front.get("name"), front.get("description")) if isinstance(front, dict) else (None, None)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise BadSkill("its name must be lower-case letters, digits and -, at most 64")
    if not isinstance(description, str) or not 0 < len(description.strip()) <= MAX_DESCRIPTION:
        raise BadSkill(f"its description must be a text of 1 to {MAX_DESCRIPTION} characters")
    if not parts[2].strip():
        raise BadSkill("it has no body")
    return Skill(name, " ".join(description.split()), parts[2].strip())


def _content(path: Path) -> str:
    if not path.resolve().is_relative_to(path.parents[1].resolve()):
        raise BadSkill("it is a link that leads out of its folder")
    if not path.is_file():  # reading a pipe would wait for ever
        raise BadSkill("it is not a file")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadSkill(f"it is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSkill(f"byte {error.start} is not UTF-8") from None
