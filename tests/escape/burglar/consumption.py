"""How much of the machine can a plugin use up?

Bounded: what is taken where nothing limits it does no harm, and is given back within seconds.
"""

import errno
import mmap
import os
import resource
import signal
import subprocess
import time

from attempts import Outcome, attempt, one, verdict

MIB = 1 << 20
MOST_CHILDREN = 400
WATCHED_S = 6


@attempt
def fork_bomb(limit):
    """Held when a fork is refused before `limit`. A child waits for us to end, and an alarm ends it at the latest."""
    reading, writing = os.pipe()
    made = 0
    try:
        while made < min(limit, MOST_CHILDREN):
            if os.fork() == 0:
                signal.alarm(8)
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            made += 1
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        return verdict("forks", False, f"refused after {made}")
    finally:
        os.close(writing)
    return verdict("forks", True, made)


@attempt
def address_space(size_mib):
    """Mapped and never touched: it costs nothing where it is allowed."""

    def reserve():
        mmap.mmap(-1, size_mib * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ).close()
        return f"{size_mib} MiB"

    return one("a mapping", reserve, errno.ENOMEM)


@attempt
def memory_by_children(count, each_mib):
    """Every child stays below its own limit; together they do not. Ends by itself if nobody ends it."""
    program = f"import time; kept = bytearray({each_mib} << 20); print(flush=True); time.sleep({WATCHED_S})"
    command = ["/usr/bin/python3", "-I", "-S", "-c", program]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    told = [child.stdout.readline() for child in children]
    time.sleep(1)  # long enough for whoever looks four times a second
    alive = sum(child.poll() is None for child in children)
    for child in children:
        child.kill()
        child.wait()
    return verdict("children that hold their memory", alive == count and all(told), alive)


@attempt
def fill(folders, size_mib):
    outcome = Outcome()
    for folder in folders:
        path = os.path.join(folder, "big")

        def write(path=path):
            with open(path, "wb", buffering=0) as file:
                for _ in range(size_mib):
                    file.write(bytes(MIB))
            return f"{size_mib} MiB"

        try:
            outcome.attempt(folder, write, errno.ENOSPC, errno.EROFS)
        finally:
            if os.path.exists(path):
                os.unlink(path)
    return outcome


@attempt
def large_file(path, size_mib):
    """Sparse: only the last byte is written."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def write():
        with open(os.path.expandvars(path), "wb", buffering=0) as file:
            file.seek(size_mib * MIB - 1)
            return file.write(b"x")

    return one(f"a file of {size_mib} MiB", write, errno.EFBIG)


@attempt
def grow_workspace(folder, files, size_kib):
    """Many files, each below every limit of its own."""
    folder = os.path.expandvars(folder)
    os.makedirs(folder, exist_ok=True)
    for number in range(files):
        with open(f"{folder}/{number}", "wb", buffering=0) as file:
            file.write(bytes(size_kib << 10))
    return verdict("files", True, files)


@attempt
def raise_limits(names):
    outcome = Outcome()
    for name in names:
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            outcome.judge(name, True, "there is no limit")
            continue

        def lift(number=number, hard=hard):
            try:
                resource.setrlimit(number, (hard, hard + 1))
            except ValueError:  # Python's word for EPERM here
                raise OSError(errno.EPERM, "") from None
            return f"raised beyond {hard}"

        outcome.attempt(name, lift, errno.EPERM)
    return outcome


@attempt
def dump_core():
    """A core file is a copy of whatever the program held; where it goes is the kernel's setting."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    return verdict("RLIMIT_CORE", (soft, hard) != (0, 0), (soft, hard))


@attempt
def open_many(count):
    kept = []

    def open_all():
        while len(kept) < count:
            kept.append(os.open("/dev/null", os.O_RDONLY))
        return len(kept)

    return one("descriptors", open_all, errno.EMFILE)


@attempt
def burn(seconds):
    """Processor time of one process; the kernel sends SIGXCPU at the limit."""
    before = time.process_time()
    while time.process_time() - before < seconds:
        pass
    return verdict("processor time", True, f"{seconds:g} s")
