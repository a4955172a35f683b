"""Which variables does a command get, besides those that the sandbox gives to every program?"""

from collections.abc import Mapping

from orchestrald.hookspecs import Confinement
from orchestrald_shell.settings import Settings

_MINIMAL = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "HOME", "USER", "TMPDIR", "SHELL")
_OF_THE_HOST = frozenset({"HOME", "USER", "LOGNAME", "TMPDIR", "PWD", "OLDPWD"})
"""Inside the sandbox these name what is not there; it has its own."""
_LOADER = ("LD_", "DYLD_", "GLIBC_", "MALLOC_")
"""Whatever the operator inherits, these would act on the sandbox's own process, outside."""


def environment(settings: Settings, daemon: Mapping[str, str], granted: Confinement) -> dict[str, str]:
    """Names are compared in upper case, as the original does; the deny-list holds under every policy."""
    sandboxed = granted.mode != "none"
    wanted = set(_MINIMAL)
    if settings.env_policy == "allowlist":
        wanted = {"PATH", *(name.upper() for name in settings.env_allowlist)}
    denied = {name.upper() for name in settings.env_denylist}
    chosen = {
        name: value
        for name, value in daemon.items()
        if (settings.env_policy == "inherit" or name.upper() in wanted)
        and name.upper() not in denied
        and not name.startswith(_LOADER)
        and not (sandboxed and name in _OF_THE_HOST)
    }
    if sandboxed and granted.network == "off":
        chosen["ORCHESTRAL_SANDBOX_NETWORK_DISABLED"] = "1"
    chosen["ORCHESTRAL_SANDBOX_BACKEND"] = granted.backend if sandboxed else "none"
    return chosen
