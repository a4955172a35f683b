"""Which files can a plugin read, make, change, move or replace that it must not?

Nothing is harmed where a mechanism is missing: outside of the workspace files are only opened, and a folder is tried
with O_TMPFILE, which leaves no name behind.
"""

import errno
import os
import stat
import time

from attempts import Outcome, attempt, one, verdict

GONE = (errno.ENOENT,)
READ_ONLY = (errno.EROFS,)


def content(path):
    with open(path, "rb") as file:
        return file.read(200).decode("utf-8", "replace")


def nameless(folder):
    """A file without a name: proof that the folder can be written to, gone with its descriptor."""
    os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
    return "a file could be made in it"


def opened(path, flags):
    os.close(os.open(path, flags))
    return "it could be opened"


@attempt
def read(paths, also=()):
    """`also` names further error numbers with which hidden files may be refused."""
    outcome = Outcome()
    for path in paths:
        outcome.attempt(path, lambda path=path: content(path), *GONE, *(getattr(errno, name) for name in also))
    return outcome


@attempt
def list_folder(paths, also=()):
    outcome = Outcome()
    for path in paths:
        outcome.attempt(path, lambda path=path: os.listdir(path), *GONE, *(getattr(errno, name) for name in also))
    return outcome


@attempt
def list_only(path, known):
    """Does the folder show anything beyond what is meant to be in it?"""
    more = sorted(set(os.listdir(path)) - set(known))
    return verdict("beyond what is known in " + path, bool(more), more)


@attempt
def make_in(folders):
    outcome = Outcome()
    for folder in folders:
        outcome.attempt(folder, lambda folder=folder: nameless(folder), *READ_ONLY)
    return outcome


@attempt
def open_for_writing(paths, also=()):
    """Opened, and never written: on an unprotected machine a write here would change the kernel."""
    refusals = (*READ_ONLY, *(getattr(errno, name) for name in also))
    outcome = Outcome()
    for path in paths:
        outcome.attempt(path, lambda path=path: opened(path, os.O_WRONLY), *refusals)
    return outcome


@attempt
def reopen_for_writing(path):
    """A descriptor for reading, opened again through /proc: the mount decides, not the first opening."""
    descriptor = os.open(path, os.O_RDONLY)
    return one(path, lambda: opened(f"/proc/self/fd/{descriptor}", os.O_WRONLY), *READ_ONLY)


@attempt
def through_a_link(target, name):
    os.symlink(os.path.dirname(target), "way")
    os.symlink(target, "file")
    outcome = Outcome()
    outcome.attempt("a link to the folder", lambda: content("way/" + name), *GONE)
    return outcome.attempt("a link to the file", lambda: content("file"), *GONE)


@attempt
def through_a_written_link(target):
    """`ln -s` to a folder of the system, and a new file through it."""
    os.symlink(target, "out")
    return one(target, lambda: nameless("out"), *READ_ONLY)


@attempt
def second_name(target):
    """A hard link in the workspace would be as good as the file itself. ENOENT: it is not even seen."""
    return one(target, lambda: os.link(target, "second"), errno.EXDEV, errno.ENOENT, errno.EPERM)


@attempt
def change_workspace():
    def chmod():
        os.chmod("known", 0o640)

    def make():
        with open("made", "w", encoding="utf-8") as file:
            return file.write("x")

    outcome = Outcome()
    outcome.attempt("write", make, *READ_ONLY)
    outcome.attempt("chmod", chmod, *READ_ONLY)
    outcome.attempt("symlink", lambda: os.symlink("known", "soft"), *READ_ONLY)
    outcome.attempt("link", lambda: os.link("known", "hard"), *READ_ONLY)
    outcome.attempt("times", lambda: os.utime("known"), *READ_ONLY)
    outcome.attempt("attribute", lambda: os.setxattr("known", "user.x", b"x"), *READ_ONLY)
    return outcome.attempt("remove", lambda: os.unlink("known"), *READ_ONLY)


@attempt
def overwrite(paths):
    outcome = Outcome()
    for path in paths:
        outcome.attempt(path, lambda path=path: opened(path, os.O_WRONLY), *READ_ONLY)
    return outcome


@attempt
def rename_away(path):
    return one(path, lambda: os.rename(path, path + ".away"), errno.EBUSY, *READ_ONLY)


@attempt
def remove_tree(path):
    """The first thing that `rm -rf` does which would last."""
    victim = os.path.join(path, "HEAD")
    return one(victim, lambda: os.unlink(victim), *READ_ONLY)


@attempt
def second_name_for_protected(path):
    def write():
        os.link(path, "second")
        with open("second", "a", encoding="utf-8") as file:
            return file.write("x")

    return one(path, write, errno.EXDEV)


@attempt
def create(names):
    """Names that a person's tools obey. Creating is allowed; the daemon must take them away afterwards."""
    for name in names:
        if os.path.dirname(name):
            os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "w", encoding="utf-8") as file:
            file.write("evil")
    return verdict("created", False, names)


@attempt
def move_and_recreate(folder, name):
    os.rename(folder, folder + ".moved")
    os.makedirs(os.path.join(folder, os.path.dirname(name)))
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write("evil")
    return verdict("created", False, name)


@attempt
def set_id():
    def modes(path):
        return oct(stat.S_IMODE(os.stat(path).st_mode))

    def change():
        with open("shell", "w", encoding="utf-8"):
            pass
        os.chmod("shell", 0o4755)  # noqa: S103  what is tried
        return modes("shell")

    def open_with():
        os.close(os.open("shell2", os.O_CREAT | os.O_WRONLY, 0o4755))
        return modes("shell2")

    outcome = Outcome()
    outcome.attempt("chmod", change, errno.EPERM)
    outcome.attempt("open", open_with, errno.EPERM)
    return outcome.attempt("mkdir", lambda: os.mkdir("folder", 0o2755), errno.EPERM)


@attempt
def device_node():
    return one("mknod", lambda: os.mknod("node", stat.S_IFBLK | 0o600, os.makedev(254, 0)), errno.EPERM)


@attempt
def leave(links=None, fifos=(), hostile_folder=False):
    """Things for the daemon to fall over in the scratch folder or the workspace; the host looks at what it did."""
    scratch = os.environ["ORCHESTRAL_SCRATCH"]
    for name, target in (links or {}).items():
        os.symlink(target, name.replace("$SCRATCH", scratch))
    for name in fifos:
        os.mkfifo(name.replace("$SCRATCH", scratch))
    if hostile_folder:
        os.mkdir(scratch + "/locked")
        os.symlink(hostile_folder, scratch + "/locked/way")
        os.symlink(hostile_folder, scratch + "/way")
        os.chmod(scratch + "/locked", 0)
    return verdict("left", False, sorted(links or {}) + list(fifos))


@attempt
def mounts_without(option, except_types=()):
    """Mounts that lack an option such as nosuid."""
    lacking = []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, after = line.split(" - ")
            where, options = before.split()[4:6]
            if option not in options.split(",") and after.split()[0] not in except_types:
                lacking.append(where)
    return verdict("mounts without " + option, bool(lacking), lacking)


@attempt
def replace(name):
    """Put a file in the place of a link or a folder: what is mounted over the target does not cover the name."""

    def put():
        os.unlink(name)
        with open(name, "w", encoding="utf-8") as file:
            return file.write("evil")

    return one(name, put, errno.EBUSY, *READ_ONLY)


@attempt
def put(name, text):
    if os.path.dirname(name):
        os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return verdict(name, True, "written")


@attempt
def mounts_on(path):
    """Where on the host's disk the folder is: the kernel tells it to everybody inside."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        found = [line.split()[3] for line in file if line.split()[4] == path]
    return verdict("source", bool(found), found)


@attempt
def create_odd(raw, lock=(), mode=0):
    """Names that are no text, as hexadecimal bytes; and folders that nobody may look into or change any more."""
    for name in raw:
        path = bytes.fromhex(name)
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write("evil")
    for name in lock:
        os.chmod(name, mode)
    return verdict("created", False, raw)


@attempt
def leave_deep(levels, then_s=0):
    """A folder in a folder in a folder: whoever tidies up by recursion falls."""
    os.chdir(os.environ["ORCHESTRAL_SCRATCH"])
    for _ in range(levels):
        os.mkdir("d")
        os.chdir("d")
    with open(os.environ["ORCHESTRAL_SCRATCH"] + "/done", "w", encoding="utf-8"):
        time.sleep(then_s)
    return verdict("left", False, levels)


@attempt
def give_capabilities():
    """A file that would give capabilities to whoever runs it."""
    with open("tool", "w", encoding="utf-8"):
        pass
    blob = bytes.fromhex("0000000200200000000000000000000000000000")  # version 2, cap_net_raw permitted
    return one("security.capability", lambda: os.setxattr("tool", "security.capability", blob), errno.EPERM)


@attempt
def crowd(name, links):
    """A planted name among more names than anybody wants to look through: links take neither space nor inodes."""
    with open(name, "w", encoding="utf-8") as file:
        file.write("evil")
    os.mkdir("crowd")
    for number in range(links):
        if number % 60000 == 0:
            source = f"crowd/s{number}"
            with open(source, "w", encoding="utf-8"):
                pass
        os.link(source, f"crowd/{number}")
    return verdict("created", False, links)
