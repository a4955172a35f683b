"""Do plugin folders come, change, break and go the way their listing says?"""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrald.plugin_folders import AGAIN_AFTER, NO_MANIFEST_AFTER, POLL, Folders, Plugin, in_words

MANIFEST = "manifest: 1\nname: {name}\nversion: '1'\nruntime: {{command: [{command}]}}\nactions: [{{name: go}}]\n"


class Poller:
    """Scans at the daemon's pace, on a clock of its own."""

    def __init__(self, *roots: Path, path: str | None = None) -> None:
        self.folders = Folders(roots, path=path)
        self.now = 0.0
        self.told: list[str] = []

    def poll(self, times: int = 1, *, busy: tuple[str, ...] = (), force: bool = False) -> None:
        for _ in range(times):
            self.now += POLL
            self.told += in_words(self.folders.scan(self.now, busy=busy, force=force))

    def until_settled(self) -> None:
        self.poll(3)

    def __getitem__(self, name: str) -> Plugin:
        return self.folders.plugins[name]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "plugins"
    root.mkdir(mode=0o755)
    return root


@pytest.fixture
def poller(root: Path) -> Poller:
    return Poller(root)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def drop(root: Path, name: str = "demo", command: str = "./run", script: str = "#!/bin/sh\n") -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "run").write_text(script, encoding="utf-8")
    (folder / "run").chmod(0o755)
    (folder / "plugin.yaml").write_text(MANIFEST.format(name=name, command=command), encoding="utf-8")
    return folder


def test_a_dropped_folder_is_live_within_two_seconds(root: Path, poller: Poller) -> None:
    poller.poll()
    dropped = poller.now  # right after a poll: the worst moment
    drop(root)
    while "demo" not in poller.folders.plugins or poller["demo"].state != "ready":
        poller.poll()
        assert poller.now - dropped <= 2 - 0.25
    (action,) = poller.folders.actions()
    assert action.spec.name == "demo.go"
    assert action.program == str(root / "demo/run")
    assert action.generation == 1
    assert action.digest.startswith("sha256:")


def test_a_folder_that_is_still_being_written_is_settling(root: Path, poller: Poller) -> None:
    folder = drop(root)
    for i in range(6):
        (folder / "data").write_text("x" * i, encoding="utf-8")
        poller.poll()
        assert poller["demo"].state == "settling"
    poller.until_settled()
    assert poller["demo"].state == "ready"


def test_a_missing_manifest_is_waited_for_and_then_told_once(root: Path, poller: Poller) -> None:
    (root / "demo").mkdir()
    poller.poll(int((NO_MANIFEST_AFTER - 1) / POLL))
    assert poller.told == []
    poller.poll(60)
    assert poller["demo"].state == "invalid"
    assert "no manifest" in poller["demo"].problem
    assert len(poller.told) == 1
    shutil.rmtree(root / "demo")
    drop(root)
    poller.until_settled()
    assert poller["demo"].state == "ready"


def test_new_content_is_a_new_generation_and_the_old_one_works_until_then(root: Path, poller: Poller) -> None:
    folder = drop(root)
    poller.until_settled()
    old = poller.folders.actions()
    (folder / "plugin.yaml").write_text(
        MANIFEST.format(name="demo", command="./run").replace("'1'", "'2'"), encoding="utf-8"
    )
    poller.poll()
    assert (poller["demo"].state, poller.folders.actions()) == ("ready", old)
    poller.until_settled()
    assert (poller["demo"].version, poller["demo"].generation) == ("2", 2)
    assert old[0].generation == 1
    assert poller["demo"].digest != old[0].digest


def test_touching_a_file_is_no_new_generation(root: Path, poller: Poller) -> None:
    folder = drop(root)
    poller.until_settled()
    os.utime(folder / "run", ns=(1, 1))
    poller.poll(4)
    assert poller["demo"].generation == 1


def test_what_running_it_leaves_behind_is_no_new_generation(root: Path, poller: Poller) -> None:
    folder = drop(root)
    poller.until_settled()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/main.pyc").write_bytes(b"x")
    poller.poll(4)
    assert poller["demo"].generation == 1
    assert len(poller.told) == 1


@pytest.mark.parametrize("change", ["content", "executable bit", "name", "new file", "removed file"])
def test_the_digest_sees_every_kind_of_change(root: Path, poller: Poller, change: str) -> None:
    folder = drop(root)
    (folder / "data").write_text("1", encoding="utf-8")
    poller.until_settled()
    before = poller["demo"].digest
    if change == "content":
        (folder / "data").write_text("2", encoding="utf-8")
    elif change == "executable bit":
        (folder / "data").chmod(0o755)
    elif change == "name":
        (folder / "data").rename(folder / "other")
    elif change == "new file":
        (folder / "more").mkdir()
    else:
        (folder / "data").unlink()
    poller.poll(4)
    assert poller["demo"].digest != before
    assert poller["demo"].generation == 2


def test_the_digest_does_not_depend_on_where_or_when(root: Path, poller: Poller, tmp_path: Path) -> None:
    folder = drop(root)
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copytree(folder, other / "demo")
    second = Poller(other)
    for each in (poller, second):
        each.until_settled()
    assert poller["demo"].digest == second["demo"].digest


def test_broken_new_content_leaves_the_last_good_generation_in_force(root: Path, poller: Poller) -> None:
    folder = drop(root)
    poller.until_settled()
    good = poller.folders.actions()
    (folder / "plugin.yaml").write_text("manifest: 1\nname: demo\nversion: 2\n", encoding="utf-8")
    poller.poll(4)
    demo = poller["demo"]
    assert (demo.state, demo.generation, demo.actions) == ("degraded", 1, good)
    assert "plugin.yaml line 3: version" in demo.problem
    (folder / "run").unlink()
    poller.poll(4)
    assert (poller["demo"].state, poller.folders.actions()) == ("invalid", ())


def test_one_bad_plugin_does_not_stop_the_others(root: Path, poller: Poller) -> None:
    (drop(root, "bad") / "plugin.yaml").write_bytes(b"\xff\x00: [")
    (drop(root, "worse") / "plugin.yaml").write_text("a: &x [*x, *x]", encoding="utf-8")
    drop(root, "good")
    poller.until_settled()
    assert {name: p.state for name, p in poller.folders.plugins.items()} == {
        "bad": "invalid",
        "worse": "invalid",
        "good": "ready",
    }


def test_a_folder_that_is_gone_drains_while_its_steps_run(root: Path, poller: Poller) -> None:
    folder = drop(root)
    poller.until_settled()
    shutil.rmtree(folder)
    poller.poll(busy=("demo",))
    assert (poller["demo"].state, poller.folders.actions()) == ("draining", ())
    poller.poll()
    assert poller.folders.plugins == {}
    assert poller.told[-1] == "plugin demo is gone"


def test_a_draining_plugin_that_comes_back_is_ready_again(root: Path, poller: Poller) -> None:
    folder = drop(root)
    poller.until_settled()
    folder.rename(root / ".away")
    poller.poll(busy=("demo",))
    (root / ".away").rename(folder)
    poller.poll(4, busy=("demo",))
    assert (poller["demo"].state, poller["demo"].generation) == ("ready", 1)


@pytest.mark.parametrize(
    "name", [".hidden", "_private", "demo~", "x.tmp", "x.temp", "x.part", "x.partial", "x.swp", "x.disabled"]
)
def test_folders_by_these_names_are_ignored(root: Path, poller: Poller, name: str) -> None:
    (root / name).mkdir()
    (root / "a-file").write_text("x", encoding="utf-8")
    poller.poll()
    assert poller.folders.listing() == []


def test_copy_to_a_hidden_name_and_rename_is_how_to_install(root: Path, poller: Poller) -> None:
    drop(root).rename(root / ".demo.tmp")
    poller.poll(5)
    (root / ".demo.tmp").rename(root / "demo")
    poller.until_settled()
    assert poller["demo"].state == "ready"


def test_a_forced_scan_waits_for_nothing(root: Path, poller: Poller) -> None:
    drop(root)
    (root / "empty").mkdir()
    poller.poll(force=True)
    assert poller["demo"].state == "ready"
    assert poller["empty"].state == "invalid"


def test_a_disabled_plugin_is_listed_and_not_used(root: Path, poller: Poller) -> None:
    drop(root)
    poller.until_settled()
    poller.folders.disable({"demo"})
    poller.poll()
    assert (poller["demo"].state, poller.folders.actions()) == ("disabled", ())
    poller.folders.disable(())
    poller.until_settled()
    poller.poll()
    assert (poller["demo"].state, poller["demo"].generation) == ("ready", 1)


def test_the_first_root_wins_where_two_have_the_same_name(root: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    drop(root)
    drop(second, script="#!/bin/sh\n# other\n")
    drop(second, "more")
    poller = Poller(root, second, tmp_path / "missing")
    poller.until_settled()
    assert poller["demo"].folder == root / "demo"
    assert poller["more"].state == "ready"


# --- hands and machines --------------------------------------------------------------------------------------------


def invalid(poller: Poller) -> str:
    poller.poll(4)
    assert poller["demo"].state == "invalid", poller["demo"]
    return f"{poller['demo'].problem} | {poller['demo'].hint}"


@pytest.mark.parametrize("what", [".", "run", "plugin.yaml", "sub"])
def test_what_every_user_can_change_is_not_run(root: Path, poller: Poller, what: str) -> None:
    folder = drop(root)
    (folder / "sub").mkdir()
    (folder / what).chmod(0o777)
    assert "can be changed by every user" in invalid(poller)
    assert f"chmod -R go-w {folder}" in poller["demo"].hint
    (folder / what).chmod(0o755)
    poller.poll(4)
    assert poller["demo"].state == "ready"


def test_a_root_that_every_user_can_change_is_not_trusted(root: Path, poller: Poller) -> None:
    drop(root)
    root.chmod(0o777)
    assert f"{root} can be changed by every user" in invalid(poller)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_not_run(root: Path, poller: Poller) -> None:
    os.chown(drop(root) / "run", 65534, 65534)
    assert "belongs to" in invalid(poller)
    assert "chown -R" in poller["demo"].hint


def test_a_link_that_leaves_the_folder_is_refused_and_one_inside_is_fine(root: Path, poller: Poller) -> None:
    folder = drop(root)
    (folder / "inside").symlink_to("run")
    poller.until_settled()
    assert poller["demo"].state == "ready"
    (folder / "outside").symlink_to("/etc/passwd")
    poller.poll(4)
    assert "outside is a symbolic link that leaves the folder" in poller["demo"].problem


def test_a_linked_folder_is_refused(root: Path, poller: Poller, tmp_path: Path) -> None:
    drop(tmp_path).rename(tmp_path / "elsewhere")
    (root / "demo").symlink_to(tmp_path / "elsewhere")
    assert "is a symbolic link | Put the folder itself there." in invalid(poller)


def test_a_linked_manifest_is_refused(root: Path, poller: Poller) -> None:
    folder = drop(root)
    (folder / "plugin.yaml").rename(folder / "real.yaml")
    (folder / "plugin.yaml").symlink_to("real.yaml")
    assert "cannot be read" in invalid(poller)


def test_a_pipe_or_socket_in_the_folder_is_refused_and_never_opened(root: Path, poller: Poller) -> None:
    folder = drop(root)
    os.mkfifo(folder / "pipe")
    assert "pipe is neither a file nor a folder" in invalid(poller)
    (folder / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "s"))
        assert "s is neither a file nor a folder" in invalid(poller)


def test_two_manifests_are_one_too_many(root: Path, poller: Poller) -> None:
    (drop(root) / "plugin.json").write_text("{}", encoding="utf-8")
    assert "both plugin.json and plugin.yaml" in invalid(poller)


def test_a_missing_program_is_named(root: Path, poller: Poller) -> None:
    (drop(root) / "run").unlink()
    assert "./run does not exist" in invalid(poller)


def test_a_program_without_its_executable_bit_comes_with_the_cure(root: Path, poller: Poller) -> None:
    folder = drop(root)
    (folder / "run").chmod(0o644)
    assert f"./run is not executable | chmod +x {folder}/run" in invalid(poller)


@pytest.mark.parametrize(
    ("first_line", "named"),
    [
        ("#!/no/such/interp -x\n", "'/no/such/interp' of ./run does not exist"),
        ("#!\n", "'' of ./run"),
        ("#!/bin/sh\r\n", "carriage return"),
        ("#!/usr/bin/env no-such-interp\n", "no-such-interp of ./run was not found on PATH"),
        ("#!/usr/bin/env -S A=1 no-such-interp -u\n", "no-such-interp of ./run was not found"),
    ],
)
def test_a_missing_interpreter_is_named(root: Path, poller: Poller, first_line: str, named: str) -> None:
    drop(root, script=first_line)
    assert named in invalid(poller)


def test_a_program_on_path_is_resolved_once(root: Path) -> None:
    drop(root, command="python3, run")
    poller = Poller(root, path=os.path.dirname(sys.executable))
    poller.until_settled()
    (action,) = poller.folders.actions()
    assert action.program == os.path.join(os.path.dirname(sys.executable), "python3")
    assert action.command == ("python3", "run")


def test_a_program_in_the_folder_needs_its_dot(root: Path) -> None:
    drop(root, command="run")
    assert "run was not found on PATH | Write ./run." in invalid(Poller(root, path="/nowhere"))


def test_a_program_may_not_be_named_through_the_parent(root: Path, poller: Poller) -> None:
    drop(root, command="../other/run")
    assert "leaves the folder" in invalid(poller)


def test_a_missing_requirement_is_named_and_looked_for_again(root: Path, tmp_path: Path) -> None:
    with (drop(root) / "plugin.yaml").open("a", encoding="utf-8") as manifest:
        manifest.write("requires: {bins: [{name: pandoc}]}\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    poller = Poller(root, path=str(programs))
    assert "requires pandoc, not found on PATH" in invalid(poller)
    (programs / "pandoc").write_text("", encoding="utf-8")
    (programs / "pandoc").chmod(0o755)
    poller.poll(int(AGAIN_AFTER / POLL) + 1)
    assert poller["demo"].state == "ready"


def test_a_script_that_is_not_there_is_doubted_and_not_refused(root: Path) -> None:
    drop(root, command="python3, main.py")
    poller = Poller(root, path=os.path.dirname(sys.executable))
    poller.until_settled()
    assert poller["demo"].state == "ready"
    assert poller["demo"].warnings == ("runtime.command names main.py, and there is no such file in the folder",)


# --- listing -------------------------------------------------------------------------------------------------------


def test_the_listing_says_everything_there_is_to_say(root: Path, poller: Poller) -> None:
    drop(root)
    poller.until_settled()
    (listed,) = poller.folders.listing()
    digest = listed.pop("digest")
    assert digest == poller["demo"].digest
    assert listed == {
        "name": "demo",
        "version": "1",
        "state": "ready",
        "generation": 1,
        "actions": ["demo.go"],
        "problem": "",
        "hint": "",
        "warnings": (),
        "kind": "folder",
        "folder": str(root / "demo"),
    }
    assert poller.told == ["plugin demo is ready (version 1, generation 1, 1 actions)"]


def test_a_root_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    poller = Poller(tmp_path / "later")
    poller.poll()
    assert poller.folders.listing() == []
    (tmp_path / "later").mkdir()
    drop(tmp_path / "later")
    poller.until_settled()
    assert poller["demo"].state == "ready"


def test_a_large_folder_is_not_walked_at_every_poll(root: Path, poller: Poller) -> None:
    folder = drop(root)
    for i in range(40):
        (folder / f"d{i}").mkdir()
        for j in range(25):
            (folder / f"d{i}/f{j}").touch()
    poller.until_settled()
    started = time.perf_counter()
    for _ in range(100):
        poller.folders.scan(poller.now)
    assert time.perf_counter() - started < 0.1  # walked each time: about 0.6 s
