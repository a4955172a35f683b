"""Which variables does a confined command see?

Pure. The result is the whole environment of the sandbox's own process too: `/proc/1/environ` inside shows
what bwrap was started with, so variables cleared by an option of bwrap are still readable there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .errors import PolicyError

PATH = "/usr/local/bin:/usr/bin:/bin"
HOME = "/tmp/home"
TEMPORARY = "/tmp"

# Each of these makes a loader, an interpreter, a shell, git or a client run or trust something else.
NEVER_INHERITED = re.compile(
    r"LD_.*|DYLD_.*|PYTHON.*|NODE_OPTIONS|NODE_PATH|BASH_ENV|BASH_FUNC_.*|ENV|SHELLOPTS|BASHOPTS|IFS|PS4"
    r"|PERL5?(LIB|OPT|DB)|RUBY(LIB|OPT)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|GIT_.*|SSH_.*"
    r"|.*PROXY|GLIBC_TUNABLES|MALLOC_.*",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def base(
    *, path: Iterable[str] = (), home: str = HOME, temporary: str = TEMPORARY, timezone: str | None = None
) -> dict[str, str]:
    """The variables every command gets. `path` are folders of interpreters outside /usr, put first.

    In mode none there is no private /tmp: give the run's own folder as `home` and `temporary`.
    `timezone` None or empty: TZ is not set, and /etc/localtime decides.
    """
    variables = {
        "PATH": ":".join(dict.fromkeys((*path, *PATH.split(":")))),
        "HOME": home,
        "TMPDIR": temporary,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "USER": "plugin",
        "LOGNAME": "plugin",
    }
    return variables | ({"TZ": timezone} if timezone else {})


def inheritable(name: str) -> bool:
    """May an operator grant this variable of the daemon to a command?"""
    return bool(NAME.fullmatch(name)) and not NEVER_INHERITED.fullmatch(name)


def inherited(names: Iterable[str], source: Mapping[str, str]) -> dict[str, str]:
    """Those of `names` that `source` has. PolicyError for a name that is never passed on, even if it is
    unset: the answer must not depend on the day's environment."""
    wanted = list(names)
    for name in wanted:
        if not inheritable(name):
            raise PolicyError(f"variable {name!r} is never passed on to a plugin: it can change what is run")
    return {name: source[name] for name in wanted if name in source}
