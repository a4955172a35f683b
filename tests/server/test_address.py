"""Does the socket stand where only we can reach it, and is nobody else's ever taken away?"""

import os
import socket
import stat
from pathlib import Path

import pytest

from orchestrald.errors import AlreadyRunning, ConfigError
from orchestrald.server.address import MAX_PATH_BYTES, adopt, bind


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_socket_is_ours_alone_in_a_folder_that_is_ours_alone(folder: str) -> None:
    before = os.umask(0o022)
    try:
        address = bind(f"{folder}/run/api.sock")
        assert os.umask(0o022) == 0o022  # as it was
    finally:
        os.umask(before)
    assert (mode(address.path), mode(f"{folder}/run")) == (0o600, 0o700)
    address.listener.close()


def test_a_folder_that_others_may_enter_is_refused_and_not_mended(folder: str) -> None:
    os.mkdir(f"{folder}/run")
    os.chmod(f"{folder}/run", 0o755)  # noqa: S103 - the fault that is to be found
    with pytest.raises(ConfigError, match="0755") as refused:
        bind(f"{folder}/run/api.sock")
    assert "chmod 700" in refused.value.advice
    assert mode(f"{folder}/run") == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(folder: str) -> None:
    os.mkdir(f"{folder}/run", 0o700)
    os.chown(f"{folder}/run", 12345, -1)
    with pytest.raises(ConfigError, match="uid 12345"):
        bind(f"{folder}/run/api.sock")


def test_a_path_too_long_for_some_kernel_is_refused_in_words(folder: str) -> None:
    room = MAX_PATH_BYTES - len(folder) - 1
    with pytest.raises(ConfigError, match=f"{MAX_PATH_BYTES + 1} bytes long; {MAX_PATH_BYTES} is the limit"):
        bind(f"{folder}/{'x' * (room + 1)}")
    bind(f"{folder}/{'x' * room}").listener.close()


def test_a_path_of_few_characters_but_many_bytes_is_measured_in_bytes(folder: str) -> None:
    with pytest.raises(ConfigError, match="is the limit"):
        bind(f"{folder}/{'é' * 50}")


def test_a_socket_that_a_dead_daemon_left_is_replaced(folder: str) -> None:
    bind(f"{folder}/api.sock").listener.close()
    address = bind(f"{folder}/api.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address.path)
    address.listener.close()


def test_a_socket_that_somebody_listens_on_is_left_to_them(folder: str) -> None:
    first = bind(f"{folder}/api.sock")
    with pytest.raises(AlreadyRunning, match="already listens"):
        bind(f"{folder}/api.sock")
    assert first.remove()
    first.listener.close()


def test_a_file_in_the_way_is_left_alone(folder: str) -> None:
    Path(folder, "api.sock").write_text("precious", encoding="utf-8")
    with pytest.raises(ConfigError, match="in the way"):
        bind(f"{folder}/api.sock")
    assert Path(folder, "api.sock").read_text(encoding="utf-8") == "precious"


def test_our_own_socket_is_removed_at_exit(folder: str) -> None:
    address = bind(f"{folder}/api.sock")
    address.listener.close()
    assert address.remove()
    assert not os.path.exists(address.path)
    assert not address.remove()  # it has gone


def test_a_socket_that_took_our_place_is_not_removed_at_exit(folder: str) -> None:
    ours = bind(f"{folder}/api.sock")
    os.rename(ours.path, f"{folder}/aside")  # keeps our inode in use, so that the next cannot get its number
    theirs = bind(f"{folder}/api.sock")
    assert not ours.remove()
    assert os.path.exists(theirs.path)
    ours.listener.close()
    theirs.listener.close()


def test_a_listening_socket_may_be_passed_in(folder: str) -> None:
    passed = bind(f"{folder}/api.sock").listener
    assert adopt(passed) is passed
    passed.close()


def test_a_passed_socket_that_is_not_listening_is_refused(folder: str) -> None:
    with socket.socket(socket.AF_UNIX) as idle, pytest.raises(ConfigError, match="not a listening"):
        adopt(idle)
    with socket.create_server(("127.0.0.1", 0)) as inet, pytest.raises(ConfigError, match="Unix"):
        adopt(inet)


@pytest.mark.skipif(not os.path.exists("/proc/self/ns"), reason="abstract sockets are Linux's")
def test_a_passed_socket_without_a_file_is_refused() -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0orchestrald-test-{os.getpid()}")
        abstract.listen()
        with pytest.raises(ConfigError, match="no name in the filesystem"):
            adopt(abstract)
