"""Which names under a writable root must a command neither change nor create?

What exists is mounted read-only over itself. What does not exist cannot be mounted (placeholders would
leave empty files in people's projects), so names are taken down before the run and compared after it: what
is new is moved away. All walking is by descriptor and follows no link: the tree belongs to whoever ran in
it before.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from .errors import PolicyError
from .policy import beneath

DEPTH = 3  # root/a/b/.git is at depth 3
MOST_ENTRIES = 200_000  # read while looking; a tree that is wider cannot be guarded in reasonable time
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Identity = tuple[int, int]  # device, inode


@dataclass(frozen=True, slots=True)
class Found:
    """What matched, as path to identity, and the folders that could not be looked into."""

    paths: dict[str, Identity] = field(default_factory=dict)
    closed: dict[str, Identity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Names:
    """Names as patterns: ".env*" for one name at any depth up to 3, ".git/hooks" for a path below such a
    name. Upper and lower case are the same, as they are on the file systems of macOS."""

    first: re.Pattern[str]
    deeper: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        split = [tuple(part for part in name.casefold().split("/") if part) for name in names]
        for parts in split:
            if not parts or ".." in parts or "." in parts:
                raise PolicyError("a protected name is empty or has a '.' or '..' in it")
        whole = [fnmatch.translate(parts[0]) for parts in split if len(parts) == 1]
        return cls(re.compile("|".join(whole) or r"(?!)"), tuple(parts for parts in split if len(parts) > 1))


def touched(path: str, names: Iterable[str]) -> str:
    """The first name of the relative `path` that is protected; empty when none is."""
    wanted = Names.of(names)
    parts = path.casefold().split("/")
    for position, part in enumerate(parts):
        longer = any(
            len(parts) - position >= len(deeper)
            and all(map(fnmatch.fnmatchcase, parts[position : position + len(deeper)], deeper))
            for deeper in wanted.deeper
        )
        if wanted.first.match(part) or longer:
            return path.split("/")[position]
    return ""


def find(roots: Iterable[str], names: Iterable[str], *, most: int | None = None) -> Found:
    """Everything protected beneath `roots`, to the depth of 3. A root that does not exist has nothing.

    PolicyError when there are more than `most` entries to look at (None: MOST_ENTRIES).
    """
    wanted, found, budget = Names.of(names), Found(), [MOST_ENTRIES if most is None else most]
    for root in roots:
        with suppress(FileNotFoundError):
            descriptor = os.open(root, FOLDER)
            try:
                _search(descriptor, root, 1, wanted, (), found, budget)
            finally:
                os.close(descriptor)
    return found


def before(roots: Iterable[str], names: Iterable[str]) -> Found:
    """`find`, for a run that is about to start, with what git's pointer files lead to beneath the roots.

    PolicyError for a protected name that is a link: only its target could be mounted over, and the link
    itself be replaced.
    """
    roots = tuple(roots)
    try:
        found = find(roots, names)
        for path in found.closed:
            if os.lstat(path).st_uid == os.geteuid():  # whoever runs as us can open it, and plant something
                raise PolicyError(f"{path} cannot be looked into; chmod u+rwx it")
        _known(found, roots)
    except OSError as error:
        raise PolicyError(f"{error.filename}: {error.strerror}; it cannot be guarded") from None
    return found


def _known(found: Found, roots: tuple[str, ...]) -> None:
    """Take links for what they are, and what git's pointers lead to for protected too."""
    for path in list(found.paths):
        try:
            kind = os.lstat(path).st_mode
        except FileNotFoundError:
            del found.paths[path]
            continue
        if stat.S_ISLNK(kind):
            raise PolicyError(f"{path} is a link and cannot be protected; put the real file there")
        if os.path.basename(path) == ".git" and stat.S_ISREG(kind):
            for led_to in _git_folders(path):
                if beneath(led_to, *roots):
                    found.paths[led_to] = _identity(os.lstat(led_to))


@dataclass(frozen=True, slots=True)
class Violation:
    """A protected name a run has made. `moved_to` None: it could not be moved, and is still where it was.

    `problem`: why nobody can say what was made beneath `path`; empty when that is known.
    """

    path: str
    moved_to: str | None
    problem: str = ""


def after(roots: Iterable[str], names: Iterable[str], earlier: Found, quarantine: str) -> tuple[Violation, ...]:
    """Move what the run created into the folder `quarantine` (made if needed); empty if it created nothing.

    Call it when nothing of the run is alive any more. A name is new if no file of that identity was known
    before: a folder renamed together with its `.git` is no violation, another `.git` in the old place is. A
    folder that can no longer be looked into counts as new, since anything may be in it. It never gives up, however
    many entries there are now, and never raises: what cannot be looked through is a violation itself.
    """
    roots = tuple(roots)
    try:
        for root in roots:
            with suppress(FileNotFoundError):
                _unlock(root)
        now = find(roots, names, most=sys.maxsize)
    except (OSError, PolicyError) as error:
        return tuple(Violation(root, None, str(error)) for root in roots)
    known = set(earlier.paths.values()) | set(earlier.closed.values())
    created = {path for path, identity in (now.paths | now.closed).items() if identity not in known}
    return tuple(_move(path, roots, quarantine, number) for number, path in enumerate(sorted(created)))


def _unlock(name: str, folder: int | None = None) -> None:
    """Give ourselves back what a run has taken away: a folder's own permissions are no hiding place."""
    descriptor = os.open(name, FOLDER | getattr(os, "O_PATH", 0), dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o700 != 0o700 and hasattr(os, "O_PATH"):
            os.chmod(f"/proc/self/fd/{descriptor}", mode | 0o700)
    finally:
        os.close(descriptor)


def _search(
    folder: int, path: str, level: int, names: Names, open_parts: tuple[tuple[str, ...], ...],
    found: Found, budget: list[int],
) -> None:  # fmt: skip
    for name, identity, is_folder in _entries(folder, budget):
        where, plain = f"{path}/{name}", name.casefold()
        candidates = [parts for parts in (*names.deeper, *open_parts) if fnmatch.fnmatchcase(plain, parts[0])]
        if (level <= DEPTH and names.first.match(plain)) or any(len(parts) == 1 for parts in candidates):
            found.paths[where] = identity
            continue
        further = tuple(parts[1:] for parts in candidates)
        if not is_folder or (level >= DEPTH and not further):
            continue
        try:
            inner = os.open(name, FOLDER, dir_fd=folder)
        except PermissionError:
            found.closed[where] = identity
            continue
        except OSError:
            continue  # gone, or no longer a folder
        try:
            _search(inner, where, level + 1, names, further, found, budget)
        finally:
            os.close(inner)


def _entries(folder: int, budget: list[int]) -> Iterator[tuple[str, Identity, bool]]:
    device = os.fstat(folder).st_dev
    with os.scandir(folder) as entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                raise PolicyError(
                    f"more than {MOST_ENTRIES} entries in the first {DEPTH} levels of a writable root; "
                    "name a narrower one"
                )
            with suppress(FileNotFoundError):
                yield entry.name, (device, entry.inode()), entry.is_dir(follow_symlinks=False)


def _git_folders(pointer: str) -> Iterator[str]:
    """Where a `.git` file ("gitdir: PATH", of a worktree or submodule) leads, and the common folder behind
    that."""
    text = _short_text(pointer)
    if text is None or not text.startswith("gitdir:") or "\0" in text:
        return
    folder = os.path.realpath(os.path.join(os.path.dirname(pointer), text.removeprefix("gitdir:").strip()))
    if not os.path.isdir(folder):
        return
    yield folder
    common = _short_text(os.path.join(folder, "commondir"))
    if common and os.path.isdir(real := os.path.realpath(os.path.join(folder, common))):
        yield real


def _short_text(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8") as file:
            return file.read(4096).strip()
    except (OSError, UnicodeDecodeError, ValueError):
        return None


def _move(path: str, roots: Iterable[str], quarantine: str, number: int) -> Violation:
    """By descriptors from the root down, so that a link put in the way leads nowhere."""
    root = next(root for root in roots if beneath(path, root))
    *parents, name = path.removeprefix(root.rstrip("/") + "/").split("/")
    try:
        folder = os.open(root, FOLDER)
        try:
            _permit(folder)
            for parent in parents:
                inner = _opened(parent, folder)
                os.close(folder)
                folder = inner
                _permit(folder)
            return Violation(path, _into(folder, name, path, quarantine, number))
        finally:
            os.close(folder)
    except OSError:
        return Violation(path, None)


def _opened(name: str, folder: int) -> int:
    """A folder, also one that its run has closed to us."""
    with suppress(PermissionError):
        return os.open(name, FOLDER, dir_fd=folder)
    _unlock(name, folder)
    return os.open(name, FOLDER, dir_fd=folder)


def _permit(folder: int) -> None:
    """To move a name out of it. A folder that is not ours refuses, and then the move says so."""
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & 0o300 != 0o300:
        with suppress(OSError):
            os.fchmod(folder, mode | 0o700)


def _into(folder: int, name: str, path: str, quarantine: str, number: int) -> str:
    """Where it is now. On another file system it stays in its folder under a name that nothing obeys:
    copying a tree that a stranger made is more risk than a renamed one."""
    os.makedirs(quarantine, mode=0o700, exist_ok=True)
    target = os.path.join(quarantine, f"{number}-{name.lstrip('.')[:100]}")
    try:
        os.rename(name, target, src_dir_fd=folder)
        return target
    except OSError:
        inert = f"quarantined-{os.path.basename(quarantine)}-{number}-{name.lstrip('.')[:100]}"
        os.rename(name, inert, src_dir_fd=folder, dst_dir_fd=folder)
        return os.path.join(os.path.dirname(path), inert)


def _identity(about: os.stat_result) -> Identity:
    return about.st_dev, about.st_ino
