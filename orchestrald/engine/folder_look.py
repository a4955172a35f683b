"""Which files does a watched folder hold right now, and in which versions?

Blocking: it is called in a thread. Rules of this file:

- Nothing is followed: every folder below the watched one is opened by itself, from the descriptor of the one above, and
  a link, a pipe or a device is not there. The watched folder is the owner's own word, so links on the way to it are.
- What is looked at is bounded, however much there is.
- A name that is not UTF-8 is not there either: no text could speak of it.
"""

import os
import re
import stat
import time
from collections.abc import Iterator
from fnmatch import translate
from typing import NamedTuple

MOST_FILES = 10_000
MOST_ENTRIES = 50_000

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Look(NamedTuple):
    """`files` holds each file's version, by path. Not `whole`: there is more, and what is missing may be there.

    `took` is how many seconds it was.
    """

    files: dict[str, str]
    whole: bool = True
    took: float = 0.0


def look(folder: str, glob: str, depth: int) -> Look:
    """The files whose name fits `glob`, at most `depth` folders down. Raises OSError when the folder cannot be read."""
    fits = re.compile(translate(glob)).match
    hidden = glob.startswith(".")
    found: dict[str, str] = {}
    began = time.monotonic()
    top = os.open(folder, _FOLDER)
    for entries, (path, name, about) in enumerate(_walk(top, folder.rstrip("/"), depth), 1):
        if entries > MOST_ENTRIES or len(found) == MOST_FILES:
            return Look(found, whole=False, took=time.monotonic() - began)
        if about is not None and fits(name) and (hidden or not name.startswith(".")):
            found[path] = f"{about.st_ino}-{about.st_size}-{about.st_mtime_ns}"
    return Look(found, took=time.monotonic() - began)


def _walk(folder: int, path: str, depth: int) -> Iterator[tuple[str, str, os.stat_result | None]]:
    """Every entry: path, name, and what is known of it if it is a plain file. Closes `folder`."""
    below: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                about = _plain(entry)
                yield f"{path}/{entry.name}", entry.name, about
                if depth and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    below.append(entry.name)
        for name in sorted(below):
            try:
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError:  # it went, or became a link, since it was listed; or it is not ours to read
                continue
            yield from _walk(inner, f"{path}/{name}", depth - 1)
    finally:
        os.close(folder)


def _plain(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Missing for what is no plain file, has a name that is no text, or has gone since it was listed."""
    if not entry.name.isprintable() and any("\ud800" <= c <= "\udfff" for c in entry.name):
        return None
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return about if stat.S_ISREG(about.st_mode) else None
