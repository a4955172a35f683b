"""Which processes can a plugin reach, disturb or leave behind?

What is left behind ends by itself within seconds.
"""

import errno
import os
import signal
import subprocess
import time

from attempts import Outcome, attempt, one, verdict


def stay(seconds, **options):
    """A process that the host can find by its command line."""
    return subprocess.Popen(["/usr/bin/sleep", str(seconds)], **options)


@attempt
def orphan(marker):
    """Twice removed, in a session of its own: nobody inside waits for it."""
    if os.fork() == 0:
        os.setsid()
        stay(marker, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os._exit(0)
    os.wait()
    return verdict("started", False, marker)


@attempt
def orphan_with_stdout(marker):
    if os.fork() == 0:
        os.setsid()
        stay(marker)
        os._exit(0)
    os.wait()
    return verdict("started", False, marker)


@attempt
def stay_alive(marker, seconds, ignore=(), closed=()):
    """Deaf to signals, or with its streams closed, for so long; then it says that it lived."""
    for name in ignore:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    for descriptor in closed:
        os.close(descriptor)
    child = stay(marker)
    time.sleep(seconds)
    child.kill()
    child.wait()
    return verdict("lived", True, f"for {seconds:g} s")


@attempt
def linger(marker, seconds):
    """For another plugin to see: a child with a telling command line, and a file in the scratch folder."""
    with open(os.environ["ORCHESTRAL_SCRATCH"] + "/mine", "w", encoding="utf-8") as file:
        file.write("mine")
    child = stay(marker)
    time.sleep(seconds)
    child.kill()
    child.wait()
    return verdict("lingered", False, marker)


@attempt
def end_first_process():
    """Only the sandbox's own first process is ever hit: any other is just asked whether it could be."""
    with open("/proc/1/comm", encoding="utf-8") as file:
        name = file.read().strip()
    if name != "bwrap":
        return one(f"a signal for {name}, process 1", lambda: os.kill(1, 0))
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        os.kill(1, number)
    with open("/proc/1/stat", encoding="utf-8") as file:
        state = file.read().rsplit(") ", 1)[1].split()[0]
    return verdict("process 1 after three signals", state in "TZX", state)


@attempt
def terminal():
    """Whose terminal? The one that the daemon was started from."""
    return one("/dev/tty", lambda: os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)), errno.ENXIO, errno.ENOENT)


@attempt
def raise_priority():
    outcome = Outcome()
    outcome.attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5), errno.EACCES, errno.EPERM)
    param = os.sched_param(10)
    return outcome.attempt("SCHED_FIFO", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, param), errno.EPERM)


@attempt
def exchange(path, rounds_s, inside, outside):
    """A folder of the workspace and a link out of it take turns under one name, for so long."""
    os.symlink(outside, "link")
    deadline, rounds = time.monotonic() + rounds_s, 0
    while time.monotonic() < deadline:
        os.rename(path, inside)
        os.rename("link", path)
        time.sleep(0.0005)
        os.rename(path, "link")
        os.rename(inside, path)
        time.sleep(0.0005)
        rounds += 1
    if rounds < 100:
        raise RuntimeError(f"only {rounds} rounds")
    return verdict("rounds", False, rounds)


@attempt
def exchange_names(first, second):
    """renameat2 with RENAME_EXCHANGE: no moment at which the protected name is missing."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def swap():
        if libc.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), 2):
            raise OSError(ctypes.get_errno(), "")
        return "exchanged"

    return one(first, swap, errno.EBUSY, errno.EROFS)


@attempt
def wait_for(names, seconds):
    """Until one of these is there: another step has begun."""
    deadline = time.monotonic() + seconds
    while not any(os.path.lexists(name) for name in names):
        if time.monotonic() > deadline:
            raise RuntimeError("none of them appeared")
        time.sleep(0.005)
    return verdict("there", False, names)
