"""What can a plugin connect to? Nothing is sent but a few bytes to listeners of the suite."""

import errno
import os
import socket

from attempts import Outcome, attempt, one, verdict

SECONDS = 2


def tcp(host, port, send=b""):
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        if send:
            connection.sendall(send)
        return f"connected to {host}:{port}"


@attempt
def connect(host, port, send=""):
    """ECONNREFUSED: a loopback of its own. ENETUNREACH: there is no way out of it."""
    refusals = (errno.ECONNREFUSED, errno.ENETUNREACH)
    return one("tcp", lambda: tcp(host, port, send.encode()), *refusals)


@attempt
def through_proxy(target):
    """Ask the proxy for a tunnel. 400 and 403 are its refusals; any other answer means that it has tried."""

    def ask():
        with socket.create_connection(("127.0.0.1", 3128), SECONDS) as proxy:
            proxy.settimeout(10)
            proxy.sendall((f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n").encode())
            return proxy.recv(1000).decode("utf-8", "replace").split("\r\n")[0]

    try:
        answer = ask()
    except ConnectionRefusedError as error:
        return verdict(target, False, error)
    if not answer:
        raise RuntimeError("the proxy said nothing")
    return verdict(target, answer.split()[1] not in ("400", "403"), answer)


@attempt
def send_udp(host, port, text):
    """Sent into its own loopback it is lost, which is no error here: the host tells whether it arrived."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), (host, int(port)))
    return verdict("sent", False, text)


@attempt
def find_a_way_out():
    """No packet leaves: connecting a UDP socket only asks for a route."""

    def route(host):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 53))
            return probe.getsockname()[0]

    outcome = Outcome()
    for host in ("1.1.1.1", "169.254.169.254", "10.0.0.1"):
        outcome.attempt(host, lambda host=host: route(host), errno.ENETUNREACH)
    with open("/proc/net/dev", encoding="utf-8") as file:  # asking for them by netlink is refused before it is held
        names = [line.split(":")[0].strip() for line in file if ":" in line]
    names.remove("lo")
    return outcome.judge("interfaces", bool(names), names)


@attempt
def resolve(name):
    try:
        found = socket.getaddrinfo(name, 80)
    except socket.gaierror as error:
        return verdict(name, False, error)
    return verdict(name, True, found)


@attempt
def open_families(families):
    outcome = Outcome()
    for name, number in families.items():

        def make(number=number):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
                try:
                    socket.socket(number, kind).close()
                except OSError as error:
                    # The filter decides by the family alone: whatever else is said, the family was let through.
                    if error.errno == errno.EAFNOSUPPORT:
                        raise
                    return errno.errorcode[error.errno]
                return f"a socket of kind {kind}"

        outcome.attempt(name, make, errno.EAFNOSUPPORT)
    return outcome


@attempt
def connect_unix(path, granted=False):
    """A path is taken relative to its folder: `sun_path` has room for 108 bytes."""

    def reach():
        if path.startswith("@"):
            name = "\0" + path[1:]
        else:
            os.chdir(os.path.dirname(path) or ".")
            name = os.path.basename(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS)
            client.connect(name)
            return "connected to " + path

    refusals = (errno.ENOENT, errno.ECONNREFUSED) if granted else (errno.EAFNOSUPPORT, errno.ENOENT)
    return one(path, reach, *refusals)


@attempt
def variables_name_sockets(names):
    """Variables that lead to an agent, a bus or a display."""
    found = sorted(name for name in names if name in os.environ)
    return verdict("variables", bool(found), found)
