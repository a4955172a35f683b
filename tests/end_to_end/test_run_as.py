"""Can a daemon of uid 0 run its plugins as somebody else?"""

import os

import pytest

from support.daemon import SUPPORT, Daemon, throwaway_home

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only a daemon of uid 0 can take on another user"),
]
CONFIG = """
sandbox: {run_as: [65534, 65534]}
plugins: {grants: {hostile: {mode: workspace_write}}}
"""


def test_programs_run_as_that_user_and_its_folders_show_nobody_what_is_in_them():
    with throwaway_home() as home:
        home.chmod(0o711)
        made = Daemon(home, CONFIG)
        made.workspace.chmod(0o755)
        made.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"  # an interpreter that the user can reach
        made.start()
        try:
            command = "id -u; ls -nd $PWD | cut -d' ' -f3"  # its own folder, made by the daemon for that user
            said = made.call("action.call", name="shell", params={"command": command})
            assert said["state"] == "completed", said
            assert said["output"]["stdout"].split() == ["65534", "65534"]
            made.drop(SUPPORT / "plugins" / "hostile")
            made.call("plugin.reload")
            said = made.call("action.call", name="hostile.act", params={"stdout": "eyJleHBvcnRzIjp7fX0="})
            assert said["state"] == "completed", said
            state = os.stat(made.paths.state_dir)
            assert (state.st_uid, state.st_mode & 0o777) == (0, 0o711)
            assert os.stat(made.paths.store).st_mode & 0o077 == 0
        finally:
            made.kill()


def test_a_folder_that_it_cannot_pass_is_named_with_the_command_that_mends_it():
    with throwaway_home() as home:
        made = Daemon(home, CONFIG)
        made.start()
        try:
            said = made.call("action.call", name="shell", params={"command": "true"})
            assert said["error"]["code"] == "sandbox_unavailable"
            assert f"cannot pass through {home}" in said["error"]["message"]
            assert f"chmod o+x {home}" in said["answer"]
        finally:
            made.kill()
