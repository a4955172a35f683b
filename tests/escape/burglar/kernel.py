"""Which system calls does the kernel take from a plugin?

Called with arguments that the kernel must refuse further on (bad pointers, bad descriptors): EFAULT, EBADF or EINVAL
mean that the call was let through, and nothing has happened.
"""

import ctypes
import errno
import mmap
import os
import subprocess

from attempts import Outcome, attempt, one, verdict

LIBC = ctypes.CDLL(None, use_errno=True)
BAD = -4095  # an address that is never mapped, and a descriptor that is never open
COLUMN = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
MS_REMOUNT_BIND_RDONLY = 0x20 | 0x1000

# name: (x86_64, aarch64), arguments, the errno with which it is refused
CALLS = {
    "ptrace": ((101, 117), (0x4206, 0x7FFFFFF, 0, 0), "EPERM"),
    "process_vm_readv": ((310, 270), (0x7FFFFFF, BAD, 1, BAD, 1, 0), "EPERM"),
    "process_vm_writev": ((311, 271), (0x7FFFFFF, BAD, 1, BAD, 1, 0), "EPERM"),
    "process_madvise": ((440, 440), (BAD, BAD, 1, 0, 0), "EPERM"),
    "pidfd_getfd": ((438, 438), (BAD, 0, 0), "EPERM"),
    "kcmp": ((312, 272), (0x7FFFFFF, 0x7FFFFFF, 0, 0, 0), "EPERM"),
    "keyctl": ((250, 219), (9999, 0, 0, 0, 0), "EPERM"),
    "add_key": ((248, 217), (BAD, BAD, 0, 0, 0), "EPERM"),
    "request_key": ((249, 218), (BAD, BAD, 0, 0), "EPERM"),
    "bpf": ((321, 280), (0, BAD, 200), "EPERM"),
    "perf_event_open": ((298, 241), (BAD, 0, -1, -1, 0), "EPERM"),
    "userfaultfd": ((323, 282), (0x7F000001,), "EPERM"),
    "mount": ((165, 40), (BAD, BAD, BAD, 0, 0), "EPERM"),
    "umount2": ((166, 39), (BAD, 0), "EPERM"),
    "chroot": ((161, 51), (BAD,), "EPERM"),
    "unshare": ((272, 97), (0x7,), "EPERM"),
    "setns": ((308, 268), (BAD, 0), "EPERM"),
    "name_to_handle_at": ((303, 264), (-100, BAD, BAD, BAD, 0), "EPERM"),
    "modify_ldt": ((154, None), (99, 0, 0), "EPERM"),
    "io_uring_setup": ((425, 425), (0, BAD), "ENOSYS"),
    "io_uring_enter": ((426, 426), (BAD, 0, 0, 0, 0, 0), "ENOSYS"),
    "io_uring_register": ((427, 427), (BAD, 0, 0, 0), "ENOSYS"),
    "clone3": ((435, 435), (BAD, 88), "ENOSYS"),
    "openat2": ((437, 437), (BAD, BAD, BAD, 24), "ENOSYS"),
    "open_tree": ((428, 428), (BAD, BAD, 0), "ENOSYS"),
    "move_mount": ((429, 429), (BAD, BAD, BAD, BAD, 0), "ENOSYS"),
    "fsopen": ((430, 430), (BAD, 0), "ENOSYS"),
    "fsconfig": ((431, 431), (BAD, 99, 0, 0, 0), "ENOSYS"),
    "fsmount": ((432, 432), (BAD, 0, 0), "ENOSYS"),
    "fspick": ((433, 433), (BAD, BAD, 0), "ENOSYS"),
    "mount_setattr": ((442, 442), (BAD, BAD, 0, BAD, 32), "ENOSYS"),
    "TIOCSTI": ((16, 29), (BAD, 0x5412, 0), "EPERM"),
    "TIOCSTI with high bits": ((16, 29), (BAD, 0x100005412, 0), "EPERM"),
    "TIOCLINUX": ((16, 29), (BAD, 0x541C, 0), "EPERM"),
    "TIOCLINUX with high bits": ((16, 29), (BAD, 0x10000541C, 0), "EPERM"),
    "personality": ((135, 92), (0x0040000,), "EPERM"),
    "clone with a namespace": ((56, 220), (0x7E020000 | 0x40000, 0, 0, 0, 0), "EPERM"),
    # Refused to everybody without a capability as well, with the same EPERM: only both gone shows a difference.
    "pivot_root": ((155, 41), (BAD, BAD), "EPERM"),
    "swapon": ((167, 224), (BAD, 0), "EPERM"),
    "reboot": ((169, 142), (0, 0, 0, 0), "EPERM"),
    "init_module": ((175, 105), (BAD, 0, BAD), "EPERM"),
    "finit_module": ((313, 273), (BAD, BAD, 0), "EPERM"),
    "delete_module": ((176, 106), (BAD, 0), "EPERM"),
    "kexec_load": ((246, 104), (0, 99, BAD, 0), "EPERM"),
    "acct": ((163, 89), (BAD,), "EPERM"),
    "syslog": ((103, 116), (3, BAD, 10), "EPERM"),
    "sethostname": ((170, 161), (BAD, 5), "EPERM"),
    "setdomainname": ((171, 162), (BAD, 5), "EPERM"),
    "clock_settime": ((227, 112), (0, BAD), "EPERM"),
    "open_by_handle_at": ((304, 265), (BAD, BAD, 0), "EPERM"),
    "fanotify_init": ((300, 262), (0x7FFFFFFF, 0), "EPERM"),
    "x32 getpid": ((0x40000027, None), (), "ENOSYS"),
}  # fmt: skip


def call(number, *arguments):
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), "")
    return result


@attempt
def calls(names):
    outcome = Outcome()
    for name in names:
        numbers, arguments, refusal = CALLS[name]
        if numbers[COLUMN] is None:
            continue
        try:
            said = f"returned {call(numbers[COLUMN], *arguments)}"
        except OSError as error:
            said = errno.errorcode[error.errno]
        outcome.judge(name, said != refusal, said)
    return outcome


@attempt
def thirty_two_bit_call():
    """getpid through int 0x80, whose number is 20 there; only x86_64 has such a door."""
    if COLUMN:
        return verdict("int 0x80", False, "there is none on this architecture")
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    result = function()
    if result not in (-errno.ENOSYS, os.getpid()):
        raise RuntimeError(f"int 0x80 returned {result}")
    return verdict("int 0x80", result > 0, result)


def in_a_child(action):
    """What became of `action` in a process of its own: an OSError of the same number, or None."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            action()
            os.write(writing, b"0")
        except OSError as error:
            os.write(writing, str(error.errno).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.wait()
    number = int(os.read(reading, 100))
    os.close(reading)
    if number:
        raise OSError(number, "")


@attempt
def new_user_namespace():
    """ENOSPC is the answer of a user namespace that may have no further one."""
    number = CALLS["unshare"][0][COLUMN]
    return one("unshare", lambda: in_a_child(lambda: call(number, CLONE_NEWUSER)), errno.EPERM, errno.ENOSPC)


@attempt
def nested_sandbox(bwrap):
    """A sandbox within: with a user namespace of its own a plugin has capabilities again."""
    command = [bwrap, "--unshare-user", "--ro-bind", "/", "/", "--", "/usr/bin/true"]
    done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    return verdict("bwrap in bwrap", done.returncode == 0, (done.returncode, done.stderr[-200:]))


@attempt
def mount_something():
    """In the sandbox's own view, which is gone with it."""

    def mount():
        os.makedirs("/tmp/place", exist_ok=True)
        arguments = [ctypes.c_char_p(each) for each in (b"none", b"/tmp/place", b"tmpfs")]
        if LIBC.mount(*arguments, ctypes.c_ulong(0), None):
            raise OSError(ctypes.get_errno(), "")
        return "mounted"

    def writable():
        target = ctypes.c_char_p(b"/proc")
        if LIBC.mount(None, target, None, ctypes.c_ulong(0x20 | 0x1000), None):
            raise OSError(ctypes.get_errno(), "")
        return "remounted"

    outcome = one("a new mount", mount, errno.EPERM)
    return outcome.attempt("a writable /proc", writable, errno.EPERM)


@attempt
def run_from_memory():
    """A program without a file is bound like any other: its own child tries what is refused to us."""
    number = CALLS["keyctl"][0][COLUMN]
    script = (
        "import ctypes, sys; l = ctypes.CDLL(None, use_errno=True)\n"
        f"l.syscall(ctypes.c_long({number}), ctypes.c_long(9999)); sys.exit(ctypes.get_errno())"
    )
    descriptor = os.memfd_create("program")
    with open(os.path.realpath("/usr/bin/python3"), "rb") as program:
        while chunk := program.read(1 << 20):
            os.write(descriptor, chunk)
    command = [f"/proc/self/fd/{descriptor}", "-I", "-S", "-c", script]
    done = subprocess.run(command, pass_fds=[descriptor], timeout=10, check=False)
    return verdict("keyctl from a memfd", done.returncode != errno.EPERM, errno.errorcode.get(done.returncode))


@attempt
def set_id_program(path, uid):
    """Who does a program that belongs to root, with its set-id bit, run as?"""
    done = subprocess.run([path, "-u"], capture_output=True, timeout=10, check=False)
    effective = done.stdout.decode().strip()
    if not effective:
        raise RuntimeError(f"it did not run: {done.stderr!r}")
    return verdict("effective uid", effective != str(uid), effective)


@attempt
def shared_memory_segment(key):
    """A System V segment of the host: it is found by its key, without any file."""

    def find():
        found = LIBC.shmget(ctypes.c_int(int(key)), ctypes.c_size_t(0), ctypes.c_int(0o400))
        if found == -1:
            raise OSError(ctypes.get_errno(), "")
        return found

    return one("shmget", find, errno.ENOENT)
