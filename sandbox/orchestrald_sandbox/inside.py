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


def main() -> None:
    asked = json.loads(sys.argv[1])
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    with open("/proc/self/uid_map") as file:
        uid_map = file.read().splitlines()
    with open("/proc/1/environ", "rb") as file:
        environment = {pair.split(b"=", 1)[0].decode() for pair in file.read().split(b"\0") if pair}
    held = (errno.EROFS, errno.EACCES, errno.EPERM)
    files = os.listdir("/proc/self/fd")  # one more than there are: the listing's own
    answers = {
        "no_capabilities": all(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")),
        "no_new_privileges": status["NoNewPrivs"].strip() == "1",
        "filtered": status["Seccomp"].strip() == "2",
        "user_namespace": len(uid_map) == 1 and uid_map[0].split()[2] == "1",
        "kernel_settings_read_only": failed(lambda: opens("/proc/sys/kernel/core_pattern", os.O_WRONLY), *held),
        "daemon_files_hidden": failed(lambda: opens(asked["canary"], os.O_RDONLY), errno.ENOENT, errno.EACCES),
        "root_read_only": failed(lambda: opens("/made-by-the-probe", NEW), *held),
        "plugin_folder_read_only": failed(lambda: opens(asked["plugin"] + "/made-by-the-probe", NEW), *held),
        "environment_clean": environment <= set(asked["variables"]) | {"PWD"},
        "no_descriptors": len(files) == 4,
        "limits_set": all(
            resource.getrlimit(getattr(resource, name))[1] <= most for name, most in asked["limits"].items()
        ),
        "vsock_refused": not has_family(40),
        "netlink_refused": not has_family(16),
        "unix_sockets_as_granted": has_family(socket.AF_UNIX) == asked["unix_sockets"],
        "namespaces_own": all(
            os.readlink("/proc/self/ns/" + name) != link for name, link in asked["namespaces"].items()
        ),
        "network_as_granted": reaches(asked["port"]) == asked["host_network"],
        "workspace_as_granted": made(asked["workspace"] + "/made-by-the-probe") == asked["writable"],
        "scratch_writable": made(asked["scratch"] + "/made-by-the-probe"),
        "tmp_writable": made("/tmp/made-by-the-probe"),
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
