"""Which rows are about system calls, privileges and namespaces?"""

import os
import shutil
from typing import Any

from escape.host_side import set_id_program
from escape.household import NOBODY, ROOT
from escape.rows import Row, same

BWRAP = os.path.realpath(shutil.which("bwrap") or "/usr/bin/bwrap")
NO_CAPABILITY = {NOBODY: "the kernel gives the same EPERM to everybody without capabilities"}
FOR_ROOT_ONLY = [
    "pivot_root", "swapon", "reboot", "init_module", "finit_module", "delete_module", "kexec_load", "acct", "syslog",
    "sethostname", "setdomainname", "clock_settime", "open_by_handle_at", "fanotify_init",
]  # fmt: skip


def calls(number: str, title: str, *names: str, removed: str = "seccomp", **more: Any) -> Row:
    return Row(number=number, title=title, attempt="calls", args={"names": list(names)}, removed=removed, **more)


ROWS = [
    calls("22", "reach into another process", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
          "pidfd_getfd", "kcmp"),
    calls("23", "type into a terminal", "TIOCSTI", "TIOCSTI with high bits", "TIOCLINUX", "TIOCLINUX with high bits"),
    calls("48", "rearrange mounts", "mount", "umount2", "chroot", "setns", "unshare", "name_to_handle_at"),
    calls("48b", "rearrange mounts in the new way", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree",
          "move_mount", "mount_setattr", "openat2"),
    Row(number="48c", title="mount something, with every capability", attempt="mount_something",
        removed="seccomp capabilities userns-limit",
        unprovable={NOBODY: "bwrap gives a user without rights a second namespace, which does not own the mounts"}),
    Row(number="49", title="make a user namespace", attempt="new_user_namespace", removed="seccomp userns-limit"),
    Row(number="49b", title="start a sandbox within", attempt="nested_sandbox", args={"bwrap": BWRAP},
        removed="seccomp userns-limit proc-read-only", further={ROOT: "capabilities"}),
    calls("49c", "clone into new namespaces", "clone with a namespace", "clone3"),
    calls("50", "use keyrings", "keyctl", "add_key", "request_key"),
    calls("51", "use io_uring", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    calls("51b", "use bpf, perf and userfaultfd", "perf_event_open", "userfaultfd", "bpf"),
    calls("51c", "change how the process is run", "personality", "modify_ldt"),
    calls("51d", "administer the machine", *FOR_ROOT_ONLY, removed="sandbox", unprovable=NO_CAPABILITY),
    Row(number="46", title="gain by a program with a set-id bit", attempt="set_id_program", grant="burglar-write",
        args={"path": "./id", "uid": "{uid}"}, setup=set_id_program, removed="sandbox",
        unprovable={ROOT: "root has nothing to gain"}),
    Row(number="46b", title="keep a privilege", attempt="status_lines",
        args={"expected": {"NoNewPrivs": "1", "Seccomp": "2", **dict.fromkeys(
            ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16)}}, removed="sandbox", partly=True),
    Row(number="59", title="call through the 32-bit door", attempt="thirty_two_bit_call", removed="seccomp"),
    calls("59b", "call with the numbers of x32", "x32 getpid", removed="",
          unprovable=same("most kernels are built without x32")),
    Row(number="+", title="run a program from memory to be free of the filter", attempt="run_from_memory",
        removed="seccomp"),
    Row(number="+", title="use descriptors of the sandbox's first process", attempt="descriptors_of_first_process",
        removed="", unprovable=same("they lead nowhere that a path could open, whatever is removed")),
    Row(number="+", title="write into the sandbox's first process", attempt="memory_of_first_process",
        removed="proc-read-only"),
]  # fmt: skip
