"""A sandbox waits until it is let in; and if nobody comes, it gives up without having run anything."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrald_sandbox import Host, Network, Policy, Prepared, destinations, environment, listener, prepare, status

pytestmark = pytest.mark.kernel
LISTED = (destinations.parse(["example.com:443"]),)


def start(policy: Policy, host: Host, command: list[str]) -> tuple[subprocess.Popen[str], Prepared, int]:
    """Until it waits; the first process inside comes with it."""
    with prepare(policy, command, environment.base(), host) as prepared:
        process = subprocess.Popen(
            prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert prepared.status_read_fd is not None
    written = b""
    while (child := status.read(written).child) is None:
        part = os.read(prepared.status_read_fd, 4096)
        assert part, process.communicate()
        written += part
    return process, prepared, child


def test_nothing_runs_before_it_is_let_in(host: Host, policy: Policy, places: dict[str, Path]) -> None:
    sign = places["scratch"] / "ran"
    process, prepared, _ = start(policy, host, ["/usr/bin/touch", str(sign)])
    assert process.stdout is not None
    # Long enough for a touch many times over; a door that does not hold shows here.
    assert not select.select([process.stdout], [], [], 0.3)[0]
    assert not sign.exists()
    prepared.release()
    assert process.communicate(timeout=10) == ("", "")
    prepared.abandon()
    assert sign.exists()


def test_when_the_daemon_lets_go_without_opening_nothing_is_ever_run(
    host: Host, policy: Policy, places: dict[str, Path]
) -> None:
    sign = places["scratch"] / "ran"
    process, prepared, _ = start(policy, host, ["/usr/bin/touch", str(sign)])
    prepared.abandon()
    _, said = process.communicate(timeout=10)
    assert process.returncode != 0 and "reset" in said
    assert not sign.exists()


def test_the_door_leaves_neither_a_file_nor_a_descriptor_behind(host: Host, policy: Policy, python: str) -> None:
    code = "import os; print(os.listdir('/dev/shm'), [f for f in os.listdir('/proc/self/fd') if int(f) > 3])"
    process, prepared, _ = start(policy, host, [python, "-I", "-S", "-c", code])
    prepared.release()
    assert process.communicate(timeout=10)[0].strip() == "[] []"
    prepared.abandon()


def test_a_process_that_is_gone_can_be_limited_and_released(host: Host, policy: Policy) -> None:
    process, prepared, child = start(policy, host, ["/usr/bin/true"])
    waiting = os.pidfd_open(child)
    process.kill()
    with suppress(ProcessLookupError):  # one that still waits for bwrap's word would do so for ever
        signal.pidfd_send_signal(waiting, signal.SIGKILL)
    process.communicate(timeout=10)
    assert select.select([waiting], [], [], 10)[0]
    os.close(waiting)
    prepared.limit(child)
    prepared.release()
    prepared.abandon()


def test_a_listener_made_inside_is_reached_from_inside_alone(host: Host, policy: Policy, python: str) -> None:
    policy = replace(policy, network=Network.PROXY, destinations=LISTED)
    code = "import socket; s = socket.create_connection(('127.0.0.1', 3128), 5); print(s.recv(9).decode())"
    process, prepared, child = start(policy, host, [python, "-I", "-S", "-c", code])
    with listener.inside(child) as listening:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((listener.HOST, listener.PORT), 1).close()
        prepared.release()
        listening.settimeout(10)
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"from here")
    assert process.communicate(timeout=10)[0].strip() == "from here"
    prepared.abandon()


def test_a_listener_for_a_process_that_is_gone_is_unavailable_and_leaves_no_descriptor() -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(listener.Unavailable, match="cannot be joined"):
        listener.inside(4_000_001)
    assert os.listdir("/proc/self/fd") == before
