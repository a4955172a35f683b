"""What does a process inside the sandbox find when it tries to get out?

Run by the probe with a plain `python -I -S`, so: standard library only, no import of this package, any
Python 3.8 on. Each answer is one attempt; True means that the attempt was *held* (or, for what must work,
that it worked). Nothing is changed where a mechanism is missing: files are opened for writing, never
written.
"""

import errno
import json
import os
import resource
import socket
import sys
from typing import Callable  # noqa: UP035  (the system's python may be 3.8)

Attempt = Callable[[], None]
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def failed(attempt: Attempt, *accepted: int) -> bool:
    """Did it fail in the way the mechanism makes it fail? A failure for another reason proves nothing."""
    try:
        attempt()
    except OSError as error:
        return not accepted or error.errno in accepted
    return False


def made(path: str) -> bool:
    """Could a file be made here?"""
    try:
        os.close(os.open(path, NEW, 0o600))
        os.unlink(path)
    except OSError:
        return False
    return True


def opens(path: str, flags: int) -> None:
    os.close(os.open(path, flags))


def reaches(port: int) -> bool:
    client = socket.socket()
    client.settimeout(1)
    try:
        client.connect(("127.0.0.1", port))
    except OSError:
        return False
    finally:
        client.close()
    return True


def has_family(family: int) -> bool:
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno != errno.EAFNOSUPPORT
    return True


def status() -> "dict[str, str]":
    with open("/proc/self/status") as file:
        return dict(line.split(":", 1) for line in file if ":" in line)


def has_own_users() -> bool:
    with open("/proc/self/uid_map") as file:
        uid_map = file.read().splitlines()
    return len(uid_map) == 1 and uid_map[0].split()[2] == "1"


def variables() -> "set[str]":
    """Of the sandbox's own process where there is one: its environment is not made by what makes ours."""
    if not os.path.exists("/proc/1/environ"):
        return set(os.environ)
    with open("/proc/1/environ", "rb") as file:
        return {pair.split(b"=", 1)[0].decode() for pair in file.read().split(b"\0") if pair}


def descriptors() -> int:
    """How many are open. The listing has one of its own, which is gone when it is looked at again."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found = 0
    for name in os.listdir(folder):
        try:
            os.fstat(int(name))
        except OSError:
            continue
        found += 1
    return found


def lowered(asked: "dict[str, int]") -> bool:
    return all(resource.getrlimit(getattr(resource, name))[1] <= most for name, most in asked.items())


def apart(namespaces: "dict[str, str]") -> bool:
    return all(os.readlink("/proc/self/ns/" + name) != link for name, link in namespaces.items())


def main() -> None:
    asked = json.loads(sys.argv[1])
    hidden, refused = (errno.ENOENT, errno.EACCES, errno.EPERM), (errno.EROFS, errno.EACCES, errno.EPERM)
    sets = ("CapInh", "CapPrm", "CapEff", "CapAmb")
    core_pattern = "/proc/sys/kernel/core_pattern"
    checks: dict[str, Callable[[], bool]] = {
        "no_capabilities": lambda: all(int(status()[name], 16) == 0 for name in sets),
        "no_new_privileges": lambda: status()["NoNewPrivs"].strip() == "1",
        "filtered": lambda: status()["Seccomp"].strip() == "2",
        "user_namespace": has_own_users,
        "kernel_settings_read_only": lambda: failed(lambda: opens(core_pattern, os.O_WRONLY), *refused),
        "daemon_files_hidden": lambda: failed(lambda: opens(asked["canary"], os.O_RDONLY), *hidden),
        "root_read_only": lambda: failed(lambda: opens("/made-by-the-probe", NEW), *refused),
        "plugin_folder_read_only": lambda: failed(lambda: opens(asked["plugin"] + "/made-by-the-probe", NEW), *refused),
        "environment_clean": lambda: variables() <= set(asked["variables"]) | {"PWD", "SHLVL", "_"},
        "no_descriptors": lambda: descriptors() == 3,
        "limits_set": lambda: lowered(asked["limits"]),
        "vsock_refused": lambda: not has_family(40),
        "netlink_refused": lambda: not has_family(16),
        "unix_sockets_as_granted": lambda: has_family(socket.AF_UNIX) == asked["unix_sockets"],
        "namespaces_own": lambda: apart(asked["namespaces"]),
        "network_as_granted": lambda: reaches(asked["port"]) == asked["host_network"],
        "workspace_as_granted": lambda: made(asked["workspace"] + "/made-by-the-probe") == asked["writable"],
        "scratch_writable": lambda: made(asked["scratch"] + "/made-by-the-probe"),
        "tmp_writable": lambda: made(os.environ["TMPDIR"] + "/made-by-the-probe"),
    }
    print(json.dumps({name: checks[name]() for name in asked["checks"]}))


if __name__ == "__main__":
    main()
