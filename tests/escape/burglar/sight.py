"""What can a plugin see of the daemon, of other plugins and of the machine?"""

import errno
import os
import socket
import time

from attempts import Outcome, attempt, verdict


def raw(path):
    with open(path, "rb") as file:
        return file.read()


@attempt
def own_environment(allowed):
    strange = sorted(set(os.environ) - set(allowed))
    return verdict("variables", bool(strange), strange)


@attempt
def environment_of_first_process(needle):
    text = raw("/proc/1/environ").decode("utf-8", "replace")
    return verdict("/proc/1/environ", needle in text, [part for part in text.split("\0") if needle in part])


@attempt
def command_line_of_first_process(needles):
    text = raw("/proc/1/cmdline").decode("utf-8", "replace").replace("\0", " ")
    return verdict("/proc/1/cmdline", any(needle in text for needle in needles), text)


@attempt
def own_descriptors():
    """The listing's own descriptor is gone again when the names are looked at."""
    extra = {}
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                extra[name] = os.readlink("/proc/self/fd/" + name)
            except OSError:
                continue
    outcome = Outcome()
    for name, where in extra.items():
        outcome.judge(name, True, f"{where}: {os.pread(int(name), 100, 0)!r}")
    return outcome if extra else outcome.judge("descriptors", False, "0, 1 and 2 only")


@attempt
def process(pid):
    """Another's process: its folder, its root, a signal that does nothing."""
    pid = int(pid)
    outcome = Outcome()
    outcome.attempt("its folder", lambda: os.listdir(f"/proc/{pid}"), errno.ENOENT)
    outcome.attempt("its command line", lambda: raw(f"/proc/{pid}/cmdline"), errno.ENOENT)
    return outcome.attempt("a signal", lambda: os.kill(pid, 0), errno.ESRCH)


@attempt
def root_of_process(pid, path):
    return Outcome().attempt(path, lambda: raw(f"/proc/{int(pid)}/root{path}"), errno.ENOENT)


@attempt
def look_for_command_line(needle, seconds):
    """Until it is seen, or for so long: another plugin's arguments."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                if needle.encode() in raw(f"/proc/{name}/cmdline"):
                    return verdict("command lines", True, name)
            except OSError:
                continue
        time.sleep(0.05)
    return verdict("command lines", False, f"not seen within {seconds:g} s")


@attempt
def memory_of_first_process():
    """Code written into the sandbox's own first process would run before any limit of ours."""
    refusals = (errno.EROFS,)
    return Outcome().attempt("/proc/1/mem", lambda: os.close(os.open("/proc/1/mem", os.O_RDWR)), *refusals)


@attempt
def name_of_host(host):
    return verdict("host name", socket.gethostname() == host or os.uname().nodename == host, socket.gethostname())


@attempt
def status_lines(expected):
    """Lines of /proc/self/status that are not as they must be."""
    found = dict(line.split(":\t", 1) for line in raw("/proc/self/status").decode().splitlines() if ":\t" in line)
    outcome = Outcome()
    for name, value in expected.items():
        outcome.judge(name, found[name].strip() != value, found[name].strip())
    return outcome


@attempt
def look_for_other_scratch(seconds):
    """Folders of other runs beside our own, and what is in them."""
    own = os.environ["ORCHESTRAL_SCRATCH"]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name in os.listdir(os.path.dirname(own)):
            path = os.path.join(os.path.dirname(own), name, "mine")
            if name != os.path.basename(own) and os.path.exists(path):
                return verdict("scratch folders", True, raw(path))
        time.sleep(0.05)
    return verdict("scratch folders", False, os.listdir(os.path.dirname(own)))


@attempt
def descriptors_of_first_process():
    """What bwrap keeps open inside; ENXIO: there is nothing that could be opened through /proc."""
    outcome = Outcome().judge("those of our own", False, "0, 1 and 2")
    for name in os.listdir("/proc/1/fd"):
        if int(name) > 2:
            path = "/proc/1/fd/" + name
            refusals = (errno.ENXIO, errno.EACCES, errno.EPERM)
            outcome.attempt(path, lambda path=path: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK)), *refusals)
    return outcome
