"""What does a command need besides its own folder?

`["python3", "main.py"]` may mean a pyenv shim, a virtual environment, an nvm or uv installation in
somebody's home. The sandbox shows /usr and what is listed, so the real program and the folder it lives on
must be known before. Files are only read; nothing is run to find out.
"""

from __future__ import annotations

import errno
import glob
import os
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import CommandError
from .policy import beneath

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")  # ELF, Mach-O, universal Mach-O
MOST_STEPS = 8  # of scripts run by scripts, or of links; the kernel allows 4 and 40
# What a language's installation has beside its `bin`.
INSTALLATION = ("lib*/python[23]*", "lib/node_modules", "lib/ruby", "lib/perl5", "lib/modules", "lib/rustlib")


@dataclass(frozen=True, slots=True)
class Resolved:
    """`argv` begins with an absolute program and needs no `#!` line to be followed. `read_roots` are the
    files and folders outside /usr to show read-only; `path` the folders to put first in PATH. Both are
    empty when all is under /usr."""

    argv: tuple[str, ...]
    read_roots: tuple[str, ...]
    path: tuple[str, ...]


def resolve(command: Sequence[str], *, folder: str, path: str, home: str | None = None) -> Resolved:
    """`command` as a manifest gives it, for a plugin in `folder`; `path` is the PATH to look names up in.

    A first word with a "/" is relative to `folder`. `home` is the real home folder, never shown whole.
    CommandError says which file is missing or unusable, and what for.
    """
    if not command or not command[0]:
        raise CommandError("the command is empty")
    argv = [locate(command[0], folder=folder, path=path), *command[1:]]
    read_roots: dict[str, None] = {}
    folders: dict[str, None] = {}
    wanted_by = f"the command {command[0]!r}"
    for _ in range(MOST_STEPS):
        program = argv[0]
        for link in _chain(program):
            if not beneath(link, *SYSTEM):
                read_roots.update(dict.fromkeys(_shown_for(link, home)))
        if not beneath(program, folder, *SYSTEM):
            folders[os.path.dirname(program)] = None
        words = _first_line(program, wanted_by)
        if words is None:
            known = (*read_roots, folder)
            roots = tuple(root for root in read_roots if root != folder and not beneath(root, *known))
            return Resolved(tuple(argv), roots, tuple(folders))
        wanted_by = f"{program}, on its first line,"
        argv = [locate(words[0], folder=folder, path=path, wanted_by=wanted_by), *words[1:], *argv]
    raise CommandError(f"{command[0]!r} is a script of a script of a script, {MOST_STEPS} deep")


def locate(name: str, *, folder: str, path: str, wanted_by: str | None = None) -> str:
    """The absolute path of an executable file; shims of pyenv, rbenv and nodenv are seen through."""
    blame = f"{wanted_by} needs {name!r}" if wanted_by else f"the command {name!r}"
    if "/" in name:
        found = os.path.normpath(os.path.join(folder, name))
        _check_executable(found, blame)
        return _through_shim(found, folder, path)
    candidates = [os.path.join(entry, name) for entry in path.split(":") if entry.startswith("/")]
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return _through_shim(os.path.normpath(candidate), folder, path)
    raise CommandError(f"{blame}: not found in {path}")


def _check_executable(path: str, blame: str) -> None:
    if not os.path.lexists(path):
        raise CommandError(f"{blame}: {path} does not exist")
    if not os.path.exists(path):
        raise CommandError(f"{blame}: {path} is a link to {os.readlink(path)}, which does not exist")
    if not os.path.isfile(path):
        raise CommandError(f"{blame}: {path} is not a file")
    if not os.access(path, os.X_OK):
        raise CommandError(f"{blame}: {path} is not executable (chmod +x {path})")


def _through_shim(program: str, folder: str, path: str) -> str:
    """A shim is a shell script that asks its manager, in the home, which version is meant (75 ms and many
    files). The same answer by reading: a version file in the plugin's folder, else the manager's own."""
    shims, name = os.path.split(program)
    root, last = os.path.split(shims)
    if last != "shims" or not os.path.isdir(os.path.join(root, "versions")):
        return program
    manager = os.path.basename(root).lstrip(".").removesuffix("env")  # ".pyenv" -> "py"
    language = {"py": "python", "rb": "ruby", "nod": "node"}.get(manager, manager)
    for file in (os.path.join(folder, f".{language}-version"), os.path.join(root, "version")):
        versions = _lines(file)
        for version in versions:
            if version == "system":
                rest = ":".join(entry for entry in path.split(":") if os.path.normpath(entry) != shims)
                return locate(name, folder=folder, path=rest, wanted_by=f"{file} (system)")
            real = os.path.join(root, "versions", version, "bin", name)
            if "/" not in version and version != ".." and os.access(real, os.X_OK):
                return real
        if versions:
            raise CommandError(f"{program} is a shim; no version in {file} ({', '.join(versions)}) has {name!r}")
    raise CommandError(f"{program} is a shim and no version is set; name the real program")


def _lines(file: str) -> list[str]:
    try:
        return _head(file, 4096).decode().split()
    except (OSError, UnicodeDecodeError):
        return []


def _head(path: str, most: int) -> bytes:
    """The beginning of a regular file. OSError for anything else: whoever wrote the plugin's folder chose what is
    there, and a pipe would keep us waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read(most)


def _first_line(program: str, wanted_by: str) -> list[str] | None:
    """The words of the `#!` line, `env` taken out; None for a binary."""
    try:
        head = _head(program, 4096)
    except PermissionError:
        return None  # may be executed and not read: a binary
    except OSError as error:
        raise CommandError(f"{wanted_by} leads to {program}: {error.strerror}") from None
    if head.startswith(MAGIC):
        return None
    if not head.startswith(b"#!"):
        raise CommandError(f"{wanted_by} leads to {program}, which is neither a binary nor begins with '#!'")
    line = head[2:].split(b"\n", 1)[0].decode("utf-8", "replace")
    if line.endswith("\r") and line.strip():
        raise CommandError(f"{program}: its first line ends in CR LF, so the system looks for an interpreter "
                           f"called {line.split()[-1] + chr(13)!r}; save it with LF line ends")  # fmt: skip
    words = line.strip().split(None, 1)
    if not words:
        raise CommandError(f"{program}: there is nothing after '#!' on its first line")
    if os.path.basename(words[0]) != "env":
        return words  # all after the interpreter is one word, as the kernel has it
    rest = words[1] if len(words) > 1 else ""
    try:
        split = shlex.split(rest[2:] if rest.startswith("-S") else rest)
    except ValueError as error:
        raise CommandError(f"{program}: its first line is not understood: {error}") from None
    while split and split[0] in ("-S", "-i", "-"):
        split = split[1:]
    if not split or split[0].startswith("-") or "=" in split[0]:
        raise CommandError(f"{program}: {line.strip()!r} is not understood; use '#!/usr/bin/env NAME'")
    return split


def _chain(program: str) -> list[str]:
    """The path and every link it leads through, ending with the real file."""
    links = [program]
    while os.path.islink(links[-1]) and len(links) < MOST_STEPS:
        last = links[-1]
        links.append(os.path.normpath(os.path.join(os.path.dirname(last), os.readlink(last))))
    real = os.path.realpath(program)
    return list(dict.fromkeys((*(link for link in links if os.path.exists(link)), real)))


def _shown_for(program: str, home: str | None, *, follow: bool = True) -> list[str]:
    """What to show so that `program` runs: the folder above its `bin` when that is a language's
    installation, else the file alone.

    Any folder with a `bin` would be too much: a plugin chooses its `#!` line, and could so be shown a
    project of the person's. ~/.local and ~/.cargo are many things' prefix and hold keys.
    """
    parent = os.path.dirname(program)
    prefix = os.path.dirname(parent)
    shared = () if home is None else (home, os.path.join(home, ".local"), os.path.join(home, ".cargo"))
    wide = prefix in ("/", "/opt", "/home", "/root", "/var", "/tmp", *shared) or beneath(home or "/", prefix)
    if os.path.basename(parent) != "bin" or wide:
        return [program]
    configuration = os.path.join(prefix, "pyvenv.cfg")
    if os.path.isfile(configuration):
        return [prefix, *(_base_of_environment(configuration, home) if follow else [])]
    is_installation = any(glob.glob(f"{glob.escape(prefix)}/{mark}") for mark in INSTALLATION)
    return [prefix] if is_installation else [program]


def _base_of_environment(configuration: str, home: str | None) -> list[str]:
    """A virtual environment's standard library is where the `home` key of its pyvenv.cfg says."""
    try:
        text = _head(configuration, 1 << 16).decode()
    except (OSError, UnicodeDecodeError):
        return []
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line and "\0" not in line]
    for key, value in pairs:
        python = os.path.join(os.path.normpath(value.strip()), "python3")
        if key.strip() == "home" and python.startswith("/") and not beneath(python, *SYSTEM):
            return _shown_for(python, home, follow=False) if os.access(python, os.X_OK) else []
    return []
