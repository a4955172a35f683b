"""What does the boundary not hold, as the threat model says? Asserted, so that the model cannot rot either way."""

import os

import pytest

from escape.conftest import Homes
from escape.host_side import Neighbourhood, listener_in_workspace
from escape.household import ROOT, Household, Scene, code_of

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
SITE = "import pathlib; pathlib.Path({!r}).write_text('imported')"


@pytest.fixture
def home(user: str, homes: Homes) -> Household:
    return homes(user, removable=False)


@pytest.fixture
def scene(home: Household, around: Neighbourhood) -> Scene:
    return home.scene("truth", around)


def through(home: Household, scene: Scene, grant: str, attempt: str, **args: object) -> dict[str, str]:
    step = home.attempt(scene, grant, attempt, args)
    assert code_of(step) == "succeeded", step
    found: dict[str, str] = step["output"]["through"]
    return found


def test_row_64_a_secret_in_the_workspace_can_be_read(home: Household, scene: Scene) -> None:
    assert "in-the-workspace" in through(home, scene, "burglar", "read", paths=[".env"])[".env"]


def test_row_63_with_the_whole_disk_shown_what_the_user_may_read_can_be_read(home: Household, scene: Scene) -> None:
    for path in ("/var/log", "/opt"):
        if os.path.isdir(path):
            assert path in through(home, scene, "burglar-disk", "list_folder", paths=[path])
    if home.user == ROOT:
        assert "root:" in through(home, scene, "burglar-disk", "read", paths=["/etc/shadow"])["/etc/shadow"]


def test_row_40_code_can_be_left_in_the_workspace_and_the_daemon_does_not_run_it(home: Household, scene: Scene) -> None:
    mark = scene.outside / "imported"
    names = ["sitecustomize.py", "usercustomize.py", "orchestrald.py", "json.py", "__pycache__/json.pyc"]
    for name in names:
        assert name in through(home, scene, "burglar-write", "put", name=name, text=SITE.format(str(mark)))
    steps = [{"id": f"s{i}", "action": "file_read", "params": {"path": name}} for i, name in enumerate(names)]
    steps.append({"id": "shell", "action": "burglar.try", "params": {"attempt": "read", "args": {"paths": ["known"]}}})
    assert {code_of(step) for step in home.steps(scene, *steps)} == {"succeeded"}
    assert not mark.exists()


def test_row_7_a_granted_socket_is_reached_although_its_folder_is_read_only(home: Household, scene: Scene) -> None:
    listener_in_workspace(scene)
    with scene.kept:
        assert "s" in through(home, scene, "burglar-unix", "connect_unix", path="s", granted=True)


def test_row_20_the_list_of_mounts_tells_the_hosts_paths(home: Household, scene: Scene) -> None:
    (told,) = through(home, scene, "burglar", "mounts_on", path=str(scene.workspace)).values()
    assert str(scene.workspace) in told


def test_the_hosts_network_is_the_hosts_network(home: Household, scene: Scene) -> None:
    assert scene.around is not None
    port = scene.around.places()["port"]
    assert through(home, scene, "burglar-net", "connect", host="127.0.0.1", port=port)
