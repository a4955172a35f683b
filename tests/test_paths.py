"""Where do things live, for each platform and each environment?"""

import pytest

from orchestrald.paths import MAX_SOCKET_BYTES, Paths


def test_one_variable_overrides_all() -> None:
    found = Paths.find({"ORCHESTRAL_HOME": "/h", "HOME": "/u", "XDG_CONFIG_HOME": "/x"}, "linux")
    assert dict(found.items()) == {
        "config_file": "/h/config/orchestral.yaml",
        "playbooks_dir": "/h/config/playbooks",
        "skills_dir": "/h/config/skills",
        "plugins_dir": "/h/plugins",
        "state_dir": "/h/state",
        "store": "/h/state/orchestrald.db",
        "references": "/h/state/references",
        "log_dir": "/h/state/logs",
        "run_dir": "/h/run",
        "socket": "/h/run/api.sock",
        "lock": "/h/state/orchestrald.lock",
    }


def test_linux_follows_xdg() -> None:
    env = {
        "HOME": "/u",
        "XDG_CONFIG_HOME": "/c",
        "XDG_DATA_HOME": "/d",
        "XDG_STATE_HOME": "/s",
        "XDG_RUNTIME_DIR": "/run/user/1",
    }
    found = Paths.find(env, "linux")
    assert found.config_file == "/c/orchestrald/orchestral.yaml"
    assert found.plugins_dir == "/d/orchestrald/plugins"
    assert found.store == "/s/orchestrald/orchestrald.db"
    assert found.socket == "/run/user/1/orchestrald/api.sock"


@pytest.mark.parametrize("runtime", ["", "relative/is/ignored"])
def test_without_a_runtime_folder_the_socket_is_beside_the_store(runtime: str) -> None:
    found = Paths.find({"HOME": "/u", "XDG_RUNTIME_DIR": runtime}, "linux")
    assert found.socket == "/u/.local/state/orchestrald/run/api.sock"


def test_macos_uses_the_library() -> None:
    found = Paths.find({"HOME": "/Users/u"}, "darwin")
    assert found.config_dir == "/Users/u/Library/Application Support/orchestrald/config"
    assert found.socket == "/Users/u/Library/Application Support/orchestrald/run/api.sock"
    assert found.log_dir == "/Users/u/Library/Logs/orchestrald"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert Paths.find({"ORCHESTRAL_HOME": "here"}).state_dir == f"{tmp_path}/here/state"


def test_the_longest_socket_path_is_accepted_and_the_next_is_explained() -> None:
    longest = "/" + "a" * (MAX_SOCKET_BYTES - len("/run/api.sock") - 1)
    assert Paths.find({"ORCHESTRAL_HOME": longest}).socket_problem == ""
    problem = Paths.find({"ORCHESTRAL_HOME": longest + "a"}).socket_problem
    assert "104 bytes" in problem
    assert "ORCHESTRAL_HOME" in problem


def test_bytes_are_counted_and_not_letters() -> None:
    assert Paths.find({"ORCHESTRAL_HOME": "/" + "é" * 60}).socket_problem


def test_paths_do_not_change_and_compare_by_value() -> None:
    one, other = Paths.find({"ORCHESTRAL_HOME": "/h"}), Paths.find({"ORCHESTRAL_HOME": "/h"})
    assert one == other
    assert hash(one) == hash(other)
    assert one != Paths.find({"ORCHESTRAL_HOME": "/i"})
    with pytest.raises(AttributeError, match="immutable"):
        one.state_dir = "/elsewhere"
