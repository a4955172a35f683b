"""Which system calls does the kernel refuse to a confined command?

Pure: a table, and an assembler for the kernel's classic BPF (8-byte records). No libseccomp, so the table
below is the whole truth about the filter. Everything that is not named is allowed; what is named gets an
errno and never a signal, so that programs probing for a feature fall back as they do on an older kernel.
"""

from __future__ import annotations

import errno
import functools
import struct
from collections.abc import Sequence
from typing import Final

from .errors import Unavailable

AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT: Final = 0x40000000

# name: (x86_64, aarch64); None where the architecture does not have the call.
NUMBERS: Final[dict[str, tuple[int | None, int | None]]] = {
    # reach into another process
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    # not covered by any namespace, or a large attack surface for no use here
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    # rearrange mounts, roots and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268),
    # administer the machine
    "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "uselib": (134, None), "lookup_dcookie": (212, 18), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "nfsservctl": (180, 42), "vhangup": (153, 58), "fanotify_init": (300, 262),
    # "this kernel does not have it": callers then use the older call, whose arguments can be judged
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "clone3": (435, 435), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "memfd_secret": (447, 447), "openat2": (437, 437),
    # judged by an argument
    "clone": (56, 220), "ioctl": (16, 29), "personality": (135, 92), "socket": (41, 198),
    "socketpair": (53, 199), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452), "mkdir": (83, None), "mkdirat": (258, 34), "mknod": (133, None),
    "mknodat": (259, 33), "creat": (85, None), "open": (2, None), "openat": (257, 56),
}  # fmt: skip

# clone3 hides its flags, and openat2 its mode, behind a pointer that a filter cannot follow; io_uring
# performs calls that never pass the filter.
NO_SUCH_CALL: Final = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "memfd_secret", "openat2",
)  # fmt: skip
# call: index of its mode argument
MODE_AT: Final = {
    "chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1,
    "mknodat": 2, "creat": 1,
}  # fmt: skip
# call: index of its flags argument; the mode follows it
FLAGS_AT: Final = {"open": 1, "openat": 2}
JUDGED: Final = ("clone", "ioctl", "personality", "socket", "socketpair", *MODE_AT, *FLAGS_AT)
FORBIDDEN: Final = tuple(name for name in NUMBERS if name not in (*NO_SUCH_CALL, *JUDGED))

CLONE_NEW: Final = 0x7E020000  # user, mount, pid, net, ipc, uts, cgroup
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # type into the terminal that started the daemon
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SETUID_SETGID: Final = 0o6000  # a set-id file left in the workspace would run as the daemon's user
# O_CREAT, __O_TMPFILE: without either the mode argument is not read, and a register may hold anything.
CREATES: Final = 0o100 | 0o20000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN, JUMP = 0x20, 0x15, 0x35, 0x45, 0x06, 0x05
ALLOW: Final = 0x7FFF0000
NUMBER_AT, ARCH_AT, ARGS_AT = 0, 4, 16

Instruction = tuple[int, int, int, int]  # operation, jump if true, jump if false, operand


@functools.cache
def program(arch: str, *, unix_sockets: bool) -> bytes:
    """The filter as `bwrap --seccomp` reads it; `arch` is `os.uname().machine`.

    With `unix_sockets` the AF_UNIX family is allowed too. Unavailable for any machine other than x86_64 and
    aarch64: AF_VSOCK, keyrings and io_uring are held by nothing but this filter, so there is no going
    without.
    """
    if arch not in AUDIT_ARCH:
        raise Unavailable(
            f"there is no system call filter for {arch}",
            "The sandbox runs on x86_64 and aarch64, and no plugin is confined without the filter.",
        )
    column = list(AUDIT_ARCH).index(arch)

    def number(name: str) -> int | None:
        return NUMBERS[name][column]

    def numbers(names: Sequence[str]) -> list[int]:
        return [found for name in names if (found := number(name)) is not None]

    code: list[Instruction] = [
        # A 32-bit call (int 0x80) has other numbers for the same calls: none of it is let through.
        (LOAD, 0, 0, ARCH_AT), (EQUAL, 1, 0, AUDIT_ARCH[arch]), _deny(errno.ENOSYS), (LOAD, 0, 0, NUMBER_AT),
    ]  # fmt: skip
    if arch == "x86_64":
        code += [(AT_LEAST, 0, 1, X32_BIT), _deny(errno.ENOSYS)]
    code += _listed(numbers(FORBIDDEN), errno.EPERM)
    code += _listed(numbers(NO_SUCH_CALL), errno.ENOSYS)
    families = (AF_INET, AF_INET6, *((AF_UNIX,) if unix_sockets else ()))
    bodies: dict[str, list[Instruction]] = {
        "clone": _if_bits(0, CLONE_NEW),
        "ioctl": _if_equal(1, (TIOCSTI, TIOCLINUX), errno.EPERM),
        "personality": _unless_equal(0, (0, 0xFFFFFFFF), errno.EPERM),  # 0xffffffff only asks
        "socket": _unless_equal(0, families, errno.EAFNOSUPPORT),
        "socketpair": _unless_equal(0, (AF_UNIX,), errno.EAFNOSUPPORT),
        **{name: _if_bits(index, SETUID_SETGID) for name, index in MODE_AT.items()},
        **{name: _if_created_with_bits(index, SETUID_SETGID) for name, index in FLAGS_AT.items()},
    }
    for name, body in bodies.items():
        if (found := number(name)) is not None:
            code += [(EQUAL, 0, len(body), found), *body]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _deny(error: int) -> Instruction:
    return (RETURN, 0, 0, 0x00050000 | error)


def _argument(index: int) -> Instruction:
    """The low half only. The kernel reads these arguments as 32 bits; comparing all 64 let TIOCSTI + 2**32
    through elsewhere (CVE-2019-10063)."""
    return (LOAD, 0, 0, ARGS_AT + 8 * index)


def _listed(numbers: Sequence[int], error: int) -> list[Instruction]:
    count = len(numbers)
    tests = [(EQUAL, count - index, 0, number) for index, number in enumerate(numbers)]
    return [*tests, (JUMP, 0, 0, 1), _deny(error)]


def _if_bits(index: int, bits: int) -> list[Instruction]:
    return [_argument(index), (ANY_BIT, 0, 1, bits), _deny(errno.EPERM), (RETURN, 0, 0, ALLOW)]


def _if_created_with_bits(index: int, bits: int) -> list[Instruction]:
    return [_argument(index), (ANY_BIT, 0, 3, CREATES), *_if_bits(index + 1, bits)]


def _if_equal(index: int, values: Sequence[int], error: int) -> list[Instruction]:
    return [_argument(index), *_listed(values, error), (RETURN, 0, 0, ALLOW)]


def _unless_equal(index: int, values: Sequence[int], error: int) -> list[Instruction]:
    count = len(values)
    tests = [(EQUAL, count - position, 0, value) for position, value in enumerate(values)]
    return [_argument(index), *tests, _deny(error), (RETURN, 0, 0, ALLOW)]
