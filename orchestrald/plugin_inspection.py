"""Is what lies in this plugin folder safe to run, complete, and the same as before?

Rules of this file:

- It looks and never runs anything.
- What may be run was put there by the daemon's own user or root, and nobody else can change it.
- A missing interpreter is named: `execve` says "no such file" of a script whose `#!` line is wrong.
"""

import grp
import hashlib
import os
import pwd
import shutil
import stat
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from orchestrald.manifest_model import Manifest
from orchestrald.manifest_text import FILE_NAMES, Parsed, parse
from orchestrald.protocol.foreign_text import plain
from orchestrald.protocol.strict_yaml import MAX_BYTES

MAX_FILES = 50_000
MAX_DEPTH = 40
_UNCOUNTED = frozenset({"__pycache__"})
"""Made by running the program. They do not make another version of it, but they must be as safe as the rest."""
_UNSEEN = frozenset({".git", ".hg", ".svn"})
_PLATFORM = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
_SCRIPT_SUFFIXES = (".py", ".js", ".mjs", ".sh", ".rb", ".pl", ".php", ".lua", ".jar", ".ts")


class Unusable(Exception):
    """What is in the folder cannot be used: a message, and a hint on what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Seen(NamedTuple):
    """One file, folder or link. Size and mtime are 0 for folders: only what is in them counts. `name` is relative."""

    name: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    inode: int
    counted: bool


Fingerprint = tuple[Seen, ...]


def look(folder: Path) -> Fingerprint:
    """Everything in the folder and the folder itself (as `.`), sorted. Raises Unusable, and OSError if it vanishes."""
    found = [_seen(".", os.lstat(folder), True)]
    if stat.S_ISDIR(found[0].mode):
        found.extend(islice(_walk(os.fspath(folder), "", True, 0), MAX_FILES + 1))
    if len(found) > MAX_FILES + 1:
        raise Unusable(f"it has more than {MAX_FILES} files")
    return tuple(sorted(found))


def itself(folder: Path) -> Fingerprint:
    """The folder alone, or the one that a link with its name leads to."""
    return (_seen(".", os.stat(folder), True),)


def _walk(folder: str, prefix: str, counted: bool, depth: int) -> Iterator[Seen]:
    if depth > MAX_DEPTH:
        raise Unusable(f"{plain(prefix, 200)} is nested more than {MAX_DEPTH} folders deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _UNSEEN:
                continue
            below = counted and entry.name not in _UNCOUNTED
            name = prefix + entry.name
            yield _seen(name, entry.stat(follow_symlinks=False), below)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{name}/", below, depth + 1)


def _seen(name: str, st: os.stat_result, counted: bool) -> Seen:
    is_folder = stat.S_ISDIR(st.st_mode)
    size, mtime = (0, 0) if is_folder else (st.st_size, st.st_mtime_ns)
    return Seen(name, st.st_mode, st.st_uid, st.st_gid, size, mtime, st.st_ino, counted)


def same(before: Fingerprint, after: Fingerprint) -> bool:
    """Has nothing changed that matters? Leaves out what running the program makes."""
    return before == after or [s for s in before if s.counted] == [s for s in after if s.counted]


def manifest_name(found: Fingerprint) -> str | None:
    """The manifest's file name; missing if there is none (yet). Raises Unusable if there are two."""
    names = [seen.name for seen in found if seen.name in FILE_NAMES]
    if len(names) > 1:
        raise Unusable(f"it has both {names[0]} and {names[1]}", "Keep one of them.")
    return names[0] if names else None


def check_hands(folder: Path, found: Fingerprint) -> None:
    """Raises Unusable unless only this user and root could have put it there, and nobody else can change it."""
    real = os.path.realpath(folder)
    for seen in found:
        where = folder if seen.name == "." else folder / seen.name
        named = plain(os.fspath(where), 500)
        if stat.S_ISLNK(seen.mode):
            _check_link(where, real, named, itself=seen.name == ".")
            continue
        if not (stat.S_ISDIR(seen.mode) or stat.S_ISREG(seen.mode)):
            raise Unusable(f"{named} is neither a file nor a folder", "Remove it.")
        if seen.uid not in (0, os.geteuid()):
            raise Unusable(f"{named} belongs to {_user(seen.uid)}", f"chown -R {_user(os.geteuid())} {quote(named)}")
        if others := _others(seen):
            raise Unusable(f"{named} can be changed by {others}", f"chmod -R go-w {quote(named)}")


def _check_link(where: Path, real: str, named: str, *, itself: bool) -> None:
    target = os.path.realpath(where)
    if itself:
        raise Unusable(f"{named} is a symbolic link", "Put the folder itself there.")
    if target != real and not target.startswith(f"{real}/"):
        raise Unusable(f"{named} is a symbolic link that leaves the folder", "Put the file or folder itself there.")


def _others(seen: Seen) -> str:
    if seen.mode & stat.S_IWOTH:
        return "every user"
    if seen.mode & stat.S_IWGRP and not _is_private(seen.gid):
        return "other members of its group"
    return ""


def _is_private(gid: int) -> bool:
    """Is it the user's own group with nobody else in it? Ubuntu and Fedora make files writable for that one."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def read_manifest(folder: Path, file_name: str) -> Parsed:
    """The manifest. Raises InvalidManifest, and OSError if it vanishes."""
    fd = os.open(folder / file_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        return parse(file.read(MAX_BYTES + 1), folder.name, file_name)


def check_machine(manifest: Manifest, path: str) -> None:
    """Raises Unusable unless the machine has what the manifest requires. To check versions would be to run things."""
    platforms = manifest.runtime.platforms
    if platforms and _PLATFORM not in platforms:
        raise Unusable(f"it runs on {' and '.join(platforms)}, and this is {_PLATFORM}")
    missing = [needed.name for needed in manifest.requires.bins if shutil.which(needed.name, path=path) is None]
    if missing:
        raise Unusable(f"it requires {', '.join(map(plain, missing))}, not found on PATH", f"PATH is {path}")


def program(command: list[str], folder: Path, path: str) -> str:
    """The absolute path of what `command` starts. Raises Unusable, naming the interpreter if that is missing."""
    name = command[0]
    if "/" in name:
        found = os.path.normpath(os.path.join(folder, name))
        if not os.path.isabs(name) and not found.startswith(f"{folder}/"):
            raise Unusable(f"runtime.command: {plain(name)} leaves the folder")
    else:
        on_path = shutil.which(name, path=path)
        if on_path is None:
            near = f"Write ./{name}." if (folder / name).exists() else f"PATH is {path}"
            raise Unusable(f"runtime.command: {plain(name)} was not found on PATH", near)
        found = os.path.abspath(on_path)
    _check_executable(found, path, plain(name))
    return found


def _check_executable(found: str, path: str, named: str) -> None:
    if not os.path.isfile(found):
        raise Unusable(f"runtime.command: {named} does not exist", f"Looked for {found}")
    if not os.access(found, os.X_OK):
        raise Unusable(f"runtime.command: {named} is not executable", f"chmod +x {quote(found)}")
    with open(found, "rb") as file:
        line = file.read(256)
    if not line.startswith(b"#!"):
        return
    # Only blanks and tabs divide: to the kernel a carriage return is part of the name.
    words = line[2:].split(b"\n", 1)[0].decode("utf-8", "replace").replace("\t", " ").strip(" ").split(" ")
    interpreter = words[0]
    if not os.access(interpreter, os.X_OK):
        says = " (the line ends in a carriage return)" if interpreter.endswith("\r") else ""
        raise Unusable(f"runtime.command: the interpreter {plain(interpreter)!r} of {named} does not exist{says}")
    asked = next((word for word in words[1:] if word and not word.startswith("-") and "=" not in word), "")
    if os.path.basename(interpreter) == "env" and asked and shutil.which(asked, path=path) is None:
        raise Unusable(f"runtime.command: the interpreter {plain(asked)} of {named} was not found on PATH")


def doubts(command: list[str], folder: Path) -> Iterator[str]:
    """What looks like a mistake in the command and need not be one."""
    for word in command[1:]:
        if word.endswith(_SCRIPT_SUFFIXES) and not word.startswith("-") and not (folder / word).exists():
            yield f"runtime.command names {plain(word, 200)}, and there is no such file in the folder"


class Digests:
    """The digest of a folder's contents: names, kinds, executable bits, bytes. Unchanged files are not read again."""

    def __init__(self) -> None:
        self._known: dict[Seen, bytes] = {}

    def of(self, folder: Path, found: Fingerprint) -> str:
        """`sha256:` over the sorted entries. Raises OSError if something vanishes while it is read."""
        whole = hashlib.sha256()
        known: dict[Seen, bytes] = {}
        for seen in found:
            if seen.counted and seen.name != ".":
                known[seen] = self._known.get(seen) or _content(folder / seen.name, seen.mode)
                kind = f"{stat.S_IFMT(seen.mode):o} {seen.mode & stat.S_IXUSR:o} ".encode()
                whole.update(kind + os.fsencode(seen.name) + b"\0" + known[seen])
        self._known = known
        return f"sha256:{whole.hexdigest()}"


def _content(path: Path, mode: int) -> bytes:
    if stat.S_ISREG(mode):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    return hashlib.sha256(os.fsencode(os.readlink(path)) if stat.S_ISLNK(mode) else b"").digest()
