"""How does a disk of macOS spell a path, and what matches a protected name there?

Pure. bwrap mounts over what exists, and what is made besides is moved away after the run; Seatbelt judges each
path as it is asked for, so a name can be refused before it exists, at any depth. Rule: what cannot be said
exactly is said too widely, which protects one file too many and not one too few.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from .policy import beneath
from .protected import Names

SYSTEM_LINKS = ("/etc", "/tmp", "/var")
DATA = "/System/Volumes/Data"
FIRMLINKS = ("Applications", "Library", "Users", "Volumes", "cores", "opt", "private", "usr")


def canonical(path: str) -> str:
    """The spelling Seatbelt knows a resolved path by: /tmp, /var and /etc are links into /private, and what is
    seen below /System/Volumes/Data has a shorter name. Anything else is given back as it is."""
    rest = path.removeprefix(f"{DATA}/")
    if rest != path and rest.split("/")[0] in FIRMLINKS:
        path = f"/{rest}"
    return f"/private{path}" if path in SYSTEM_LINKS or beneath(path, *SYSTEM_LINKS) else path


def folded(path: str) -> str:
    """The same for all spellings that a disk without upper and lower case takes for one. Only to compare."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def expressions(names: Iterable[str], parts_above: int) -> tuple[list[str], list[str]]:
    """What matches protected names and all below them; and what leads to a name of several parts."""
    names = tuple(dict.fromkeys(names))
    Names.of(names)  # refuses what is no name
    start = "^" + "/[^/]+" * parts_above + "/(.*/)?"
    whole: list[str] = []
    above: list[str] = []
    for name in names:
        parts = [_any_case(part) for part in name.split("/") if part]
        whole.append(f"{start}{'/'.join(parts)}(/|$)")
        above += [f"{start}{'/'.join(parts[:length])}$" for length in range(1, len(parts))]
    if whole:
        # Some disks read ".g<zero width joiner>it" as .git, and the long s as an s: a dot name with anything but
        # ASCII in it may be one of these.
        whole.append(f"{start}([^ -~]+[.]|[.][^/]*[^ -~])[^/]*(/|$)")
    return whole, above


def _any_case(part: str) -> str:
    """An expression for at least what `part` (as `fnmatch` reads it) matches, upper and lower case alike."""
    odd = next((at for at, sign in enumerate(part) if not " " <= sign <= "~"), None)
    if odd is not None:  # a disk may hold it as the letter before, and an accent
        return _any_case(part[: max(0, odd - 1)]) + "[^/]*"
    found: list[str] = []
    for sign in re.findall(r"\[!?\]?[^\]]*\]|.", part):
        if sign == "*":
            found.append("[^/]*")
        elif sign.isalpha():
            found.append(f"[{sign.lower()}{sign.upper()}]")
        else:
            found.append("[^/]" if len(sign) > 1 or sign in "?[]^\\" else f"[{sign}]")
    return "".join(found)
