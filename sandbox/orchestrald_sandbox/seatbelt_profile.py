"""Which rules does macOS's Seatbelt get for a policy?

Pure: a policy in, the profile's text and its `-D` parameters out; golden files and a small interpreter of the
language in the tests hold them. **Not run on macOS yet.** Rules of this file: all is denied that is not
allowed; the last rule that matches counts, so a denial comes after what it carves from; a path or a name from a
policy is only ever a parameter, never text, because a quote in it would write rules of its own.

There are no mounts here. A rule holds for the path a file has *now*, so whatever has a rule of its own must
not be moved, and neither must any folder above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import PolicyError, Unavailable
from .policy import FsRead, Mode, Network, Policy, beneath, check_path, depth
from .seatbelt_names import SYSTEM_LINKS, canonical, expressions, folded

READ = "file-read* file-map-executable process-exec"  # each alone is no way around the other two
# rename(2) asks for both: of where it was, and of where it comes to be. What is there can be swapped, too.
MOVE = "file-write-create file-write-unlink"

# What programs of the system are made of. Not /System or /usr whole: /System/Volumes/Data is everybody's
# files, and /usr/local/var a package manager's databases.
SYSTEM = (
    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/share", "/usr/local/bin",
    "/usr/local/lib", "/usr/local/libexec", "/usr/local/opt", "/usr/local/Cellar", "/usr/local/Frameworks",
    "/System/Library", "/System/Cryptexes", "/System/iOSSupport", "/System/Volumes/Preboot/Cryptexes",
    "/Library/Apple",
    "/Library/Developer/CommandLineTools",  # /usr/bin/git, make and python3 are stubs that lead there
    "/private/var/select", "/private/var/db/timezone", "/private/etc/localtime", "/private/etc/ssl",
    "/private/etc/hosts", "/private/etc/protocols", "/private/etc/services",
)  # fmt: skip
# Not visible even where `fs_read` is host, unless listed: homes, other people's temporary files, disks, terminals.
COVERED = (
    "/Users", "/Volumes", "/Network", "/cores", "/dev", "/private/tmp", "/private/var/folders",
    "/private/var/root", "/private/var/run", "/private/var/tmp", "/private/var/vm",
)  # fmt: skip
TOO_WIDE = frozenset({
    "/", "/Applications", "/Library", "/Network", "/Users", "/Users/Shared", "/Volumes", "/cores", "/opt",
    "/opt/homebrew", "/private", "/private/etc", "/private/tmp", "/private/var", "/private/var/db",
    "/private/var/folders", "/private/var/root", "/private/var/run", "/private/var/tmp", "/usr/local",
})  # fmt: skip
SYSTEM_TREES = ("/dev", "/System")
NEVER_WRITABLE = ("/bin", "/sbin", "/usr", "/Library", "/private/etc", "/private/var/db", "/private/var/select")
USERS_TEMPORARY = "/private/var/folders"  # below it: two letters, a long name, then T, C or 0

# No kern.proc.* and no kern.procargs2: those show other programs' arguments and environment. kern.sysv.semmni is
# for Python's ProcessPoolExecutor, kern.argmax for whatever starts programs.
SYSCTLS = (
    "kern.argmax", "kern.hostname", "kern.iossupportversion", "kern.maxfilesperproc", "kern.maxproc", "kern.ngroups",
    "kern.osproductversion", "kern.osrelease", "kern.ostype", "kern.osvariant_status", "kern.osversion",
    "kern.secure_kernel", "kern.sysv.semmni", "kern.usrstack64", "kern.version",
    "security.mac.lockdown_mode_state", "sysctl.proc_cputype", "vm.loadavg",
)  # fmt: skip
SYSCTL_PREFIXES = ("hw.", "machdep.cpu.")  # the hardware
LIBINFO = "com.apple.system.opendirectoryd.libinfo"  # who is uid 501?
# With network host only. Not with proxy: trustd fetches what a certificate names, from outside the sandbox, and
# the command writes the certificate (it can verify with /private/etc/ssl/cert.pem instead).
NETWORK_SERVICES = (
    "com.apple.SecurityServer", "com.apple.SystemConfiguration.DNSConfiguration",
    "com.apple.SystemConfiguration.configd", "com.apple.networkd", "com.apple.trustd.agent",
)  # fmt: skip
RESOLVER = "/private/var/run/mDNSResponder"
RESOLV_CONF = ("/private/etc/resolv.conf", "/private/var/run/resolv.conf")
READ_DEVICES = (
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/fd/0", "/dev/fd/1", "/dev/fd/2", "/dev/stdin",
    "/dev/stdout", "/dev/stderr",
)  # fmt: skip
WRITE_DEVICES = ("/dev/null", "/dev/fd/1", "/dev/fd/2", "/dev/stdout", "/dev/stderr")

TAG = re.compile(r"[A-Za-z0-9_-]{8,64}")  # the one foreign word that becomes text


@dataclass(frozen=True, slots=True)
class Parameters:
    """`sandbox-exec -D` pairs: one name for each value, in the order of first use."""

    names: dict[str, str] = field(default_factory=dict)

    def of(self, value: str, kind: str = "PATH") -> str:
        """How the profile's text speaks of `value`."""
        return f'(param "{self.names.setdefault(value, f"{kind}_{len(self.names)}")}")'

    def literals(self, paths: Iterable[str]) -> list[str]:
        return [f"(literal {self.of(path)})" for path in dict.fromkeys(paths)]

    def trees(self, paths: Iterable[str]) -> list[str]:
        return [f"(subpath {self.of(path)})" for path in dict.fromkeys(paths)]

    def values(self) -> dict[str, str]:
        return {name: value for value, name in self.names.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A policy's paths in the spelling that rules are matched against, sorted by what becomes of them."""

    shown: tuple[str, ...]  # shallow first
    writable: tuple[str, ...]  # those of `shown` that can be written to
    outer_masks: tuple[str, ...]  # what is granted below one of these stays granted
    inner_masks: tuple[str, ...]  # within something granted: hidden wins, as it does with bwrap
    protected: tuple[str, ...]  # what exists


def profile(
    policy: Policy, *, temporary: str, tag: str, protected: Iterable[str] = (), proxy_port: int = 3128
) -> tuple[str, dict[str, str]]:
    """The profile's text and its parameters for one run.

    `temporary` is the run's own folder, writable in every mode: there is no private /tmp. `protected` are
    existing paths, besides what the policy's names match anywhere (`protected.before`). All must be resolved,
    and in the very letters the disk has (`fcntl.F_GETPATH`). `tag` comes with each denial in the log.

    PolicyError: mode none, a path that is too wide or unusual, a bad tag or port. Unavailable: run_as.
    """
    if policy.mode is Mode.NONE:
        raise PolicyError("mode none is no sandbox, and has no profile")
    if policy.run_as is not None:
        raise Unavailable("run_as is not possible on macOS", "Unset sandbox.run_as.")
    if not TAG.fullmatch(tag):
        raise PolicyError(f"{tag!r} cannot tag a sandbox: 8 to 64 letters, digits, '_' or '-'")
    if not 0 < proxy_port < 1 << 16:
        raise PolicyError(f"{proxy_port} is not a port")
    view, parameters = _view(policy, temporary, tuple(protected)), Parameters()
    rules = [
        *_processes(), *_reading(policy, view, parameters), *_writing(policy, view, parameters),
        *_network(policy, view, parameters, proxy_port),
    ]  # fmt: skip
    message = f'(with message "{tag}"))'
    told = [f"{rule[:-1]} {message}" if rule.startswith("(deny") else rule for rule in rules]
    return "\n".join(["(version 1)", f"(deny default {message}", *told, ""]), parameters.values()


def _view(policy: Policy, temporary: str, protected: tuple[str, ...]) -> View:
    for path in (*policy.paths(), temporary, *protected):
        _check(path)
    writable = tuple(dict.fromkeys(map(canonical, policy.writable())))
    readable = set(map(canonical, (*policy.checked_roots(), *policy.read_roots))) - set(writable)
    if canonical(temporary) in readable:
        raise PolicyError(f"{temporary}: the run's own folder is writable, and this one is granted for reading")
    writable = tuple(dict.fromkeys((*writable, canonical(temporary))))
    shown = tuple(sorted({*readable, *writable}, key=lambda path: (depth(path), path)))
    plain = {folded(path): path in writable for path in shown}
    if len(plain) != len(shown):
        raise PolicyError(f"{', '.join(shown)}: one of these is there twice, in other letters")
    for path, changed in plain.items():
        if path in map(folded, (*TOO_WIDE, *SYSTEM_TREES)) or beneath(path, *map(folded, SYSTEM_TREES)):
            raise PolicyError(f"{path} is too wide to be granted; name a folder further down")
        if beneath(path, USERS_TEMPORARY) and depth(path) < depth(USERS_TEMPORARY) + 4:
            raise PolicyError(f"{path} is all of somebody's temporary files; name a folder further down")
        if changed and (path in map(folded, NEVER_WRITABLE) or beneath(path, *map(folded, NEVER_WRITABLE))):
            raise PolicyError(f"{path} belongs to the system, and cannot be writable")
    masks = dict.fromkeys(map(canonical, policy.masked))
    inner = tuple(path for path in masks if folded(path) in plain or beneath(folded(path), *plain))
    outer = tuple(path for path in masks if path not in inner)
    existing = tuple(dict.fromkeys(map(canonical, protected)))
    return View(shown=shown, writable=writable, outer_masks=outer, inner_masks=inner, protected=existing)


def _check(path: str) -> None:
    check_path(path)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise PolicyError(f"{path!r} is not UTF-8, as every name on a disk of macOS is") from None


def _processes() -> list[str]:
    names = [f'(sysctl-name "{name}")' for name in SYSCTLS]
    prefixes = [f'(sysctl-name-prefix "{prefix}")' for prefix in SYSCTL_PREFIXES]
    return [
        "(allow process-fork)",
        "(allow signal (target same-sandbox))",
        # By name: others saw that (deny default) does not reach process-info, which shows the arguments and the
        # environment of every program of the user.
        "(deny process-info*)",
        "(allow process-info* (target same-sandbox))",
        *_rule("allow sysctl-read", [*names, *prefixes]),
        *_rule("allow mach-lookup", [f'(global-name "{LIBINFO}")']),
        "(allow ipc-posix-sem)",  # Python's multiprocessing. Not -shm: it reaches other programs' segments
    ]


def _reading(policy: Policy, view: View, parameters: Parameters) -> list[str]:
    hide = f"deny {READ} file-clone"
    if policy.fs_read is FsRead.HOST:
        visible = [f"(allow {READ})", *_rule(hide, _fixed("subpath", COVERED))]
    else:
        # Without "/" itself the dynamic linker aborts every program.
        visible = ['(allow file-read* (literal "/"))', *_rule(f"allow {READ}", _fixed("subpath", SYSTEM))]
    return [
        *visible,
        *_rule(hide, parameters.trees(view.outer_masks)),
        *_rule(f"allow {READ}", parameters.trees(view.shown)),
        *_rule("allow file-read-metadata", _fixed("literal", (*SYSTEM_LINKS, *_above(SYSTEM)))),
        *_rule("allow file-read-metadata", parameters.literals(_above(view.shown))),
        *_rule(hide, parameters.trees(view.inner_masks)),
        *_rule("allow file-read-metadata", _fixed("literal", ("/dev", "/dev/fd"))),
        *_rule("allow file-read*", _fixed("literal", READ_DEVICES)),
        *_rule("allow file-write-data", _fixed("literal", WRITE_DEVICES)),
    ]


def _writing(policy: Policy, view: View, parameters: Parameters) -> list[str]:
    rules: list[str] = []
    # Shallow first, so that the inner of two nested paths keeps its own right, as with bwrap.
    for path in view.shown:
        verdict = "allow" if path in view.writable else "deny"
        rules += _rule(f"{verdict} file-write*", parameters.trees([path]))
    if policy.mode is Mode.WORKSPACE_WRITE:
        # The run's own folder too: a tree with a .git in it could be made there, and then be moved in.
        for path in view.writable:
            rules += _protected_names(policy.protected, path, view, parameters)
    fixed = (*view.protected, *view.inner_masks)
    pinned = (*view.shown, *fixed)
    return [
        *rules,
        *_rule("deny file-write*", [*parameters.literals(fixed), *parameters.trees(fixed)]),
        *_rule(f"deny {MOVE}", parameters.literals((*pinned, *_above(pinned)))),
        "(deny file-link)",  # a second name, to which no rule about the first applies
        "(deny file-write-setugid file-write-mount file-write-umount)",
    ]


def _protected_names(names: Iterable[str], root: str, view: View, parameters: Parameters) -> list[str]:
    """Names beneath `root`, at any depth. The expressions count the root's parts and do not spell them: then no
    path needs escaping, and it does not matter in which letters the root was given."""
    whole, above = expressions(names, depth(root))
    # A root below a protected name was granted on purpose, and is judged by expressions of its own.
    inner = [f"(require-not {tree})" for tree in parameters.trees(p for p in view.writable if beneath(p, root))]
    found: list[str] = []
    # Of ".git/hooks" the .git may be written to; but nothing may become .git by renaming, with hooks inside.
    for operations, each in (("file-write*", whole), (MOVE, above)):
        matches = [f"(regex {parameters.of(expression, 'NAME')})" for expression in each]
        either = f"(require-any {' '.join(matches)})"
        where = " ".join((*parameters.trees([root]), *inner, either))
        found += _rule(f"deny {operations}", [f"(require-all {where})"] if matches else [])
    return found


def _network(policy: Policy, view: View, parameters: Parameters, proxy_port: int) -> list[str]:
    rules: list[str] = []
    if policy.network is Network.PROXY:
        where = parameters.of(f"localhost:{proxy_port}", "PROXY")
        rules += _rule("allow network-outbound", [f"(remote ip {where})"])
    if policy.network is Network.HOST:
        # Not network*: that is every Unix socket too, docker's and the ssh agent's among them.
        rules += _rule("allow network-outbound", ["(remote ip)", *_fixed("literal", [RESOLVER])])
        rules += _rule("allow network-bind network-inbound", ["(local ip)"])
        rules += _rule("allow file-read*", _fixed("literal", RESOLV_CONF))
        rules += _rule("allow sysctl-read", ['(sysctl-name-prefix "net.routetable.")'])
        rules += _rule("allow mach-lookup", [f'(global-name "{name}")' for name in NETWORK_SERVICES])
    if policy.unix_sockets:
        # Rules about files do not govern connect(2): what is shown is granted again, what is hidden denied.
        rules += _rule("allow system-socket", ["(socket-domain AF_UNIX)"])
        rules += _rule("allow network-outbound", parameters.trees(view.shown))
        rules += _rule("allow network-bind", parameters.trees(view.writable))
        rules += _rule("deny network-bind network-outbound", parameters.trees(view.inner_masks))
    return rules


def _rule(verdict: str, filters: Iterable[str]) -> list[str]:
    """One rule, or none without a filter: there a rule would be about everything."""
    lines = [f"\n  {each}" for each in filters]
    return [f"({verdict}{''.join(lines)})"] if lines else []


def _fixed(kind: str, paths: Iterable[str]) -> list[str]:
    """Filters for paths of this file. Those of a policy are parameters."""
    return [f'({kind} "{path}")' for path in dict.fromkeys(paths)]


def _above(paths: Iterable[str]) -> tuple[str, ...]:
    """All folders above these, without "/"."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split("/")
        found.update(dict.fromkeys("/".join(parts[:length]) for length in range(2, len(parts))))
    return tuple(found)
