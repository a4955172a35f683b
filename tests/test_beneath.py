"""Can no link, pipe or second name lead a read or a write out of its folder?"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrald.beneath import Refused, Root, open_root


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    folder = tmp_path / "inside"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("outside", encoding="utf-8")
    return folder


@pytest.fixture
def root(inside: Path) -> Iterator[Root]:
    with open_root(str(inside)) as opened:
        yield opened


def read(root: Root, path: str) -> bytes:
    with root.open(path) as file:
        return file.read()


def test_what_is_written_can_be_read_and_folders_are_made_on_request(root: Root, inside: Path):
    root.replace("a/b/c.txt", b"one", create_dirs=True)
    root.append("a/b/c.txt", b" two")
    root.append("./new", b"x")
    assert (read(root, "a/b/c.txt"), read(root, "new")) == (b"one two", b"x")
    assert os.listdir(inside / "a" / "b") == ["c.txt"]
    with pytest.raises(FileNotFoundError, match="folder other"):
        root.replace("other/x", b"")


def test_permissions_are_kept_and_new_files_are_not_executable(root: Root, inside: Path):
    (inside / "tool").write_bytes(b"old")
    (inside / "tool").chmod(0o751)
    root.replace("tool", b"new")
    root.replace("fresh", b"new")
    assert [(inside / name).stat().st_mode & 0o777 for name in ("tool", "fresh")] == [0o751, 0o644]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    root: Root, inside: Path, monkeypatch: pytest.MonkeyPatch
):
    root.replace("file", b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        root.replace("file", b"new")
    assert read(root, "file") == b"old"
    assert os.listdir(inside) == ["file"]


@pytest.mark.parametrize("path", ["../outside/file", "a/../../outside/file", "/etc/passwd", "", ".", "a/", "a\0b"])
def test_a_path_that_leads_out_or_names_no_file_is_refused(root: Root, outside: Path, path: str):
    for use in (root.open, lambda p: root.replace(p, b"x"), lambda p: root.append(p, b"x")):
        with pytest.raises(Refused):
            use(path)


@pytest.mark.parametrize("path", ["link", "dangling", "folder/file", "folder/new"])
def test_links_are_followed_nowhere(root: Root, inside: Path, outside: Path, path: str):
    (inside / "link").symlink_to(outside / "file")
    (inside / "dangling").symlink_to(outside / "new")
    (inside / "folder").symlink_to(outside)
    for use in (root.open, lambda p: root.replace(p, b"x", create_dirs=True), lambda p: root.append(p, b"x")):
        with pytest.raises(Refused):
            use(path)
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_text(encoding="utf-8") == "outside"


def test_a_link_within_the_folder_is_refused_as_well(root: Root, inside: Path):
    (inside / "real").write_bytes(b"x")
    (inside / "link").symlink_to("real")
    with pytest.raises(Refused):
        root.replace("link", b"y")
    assert (inside / "link").is_symlink()


def test_pipes_devices_and_folders_are_refused_without_blocking(root: Root, inside: Path):
    os.mkfifo(inside / "pipe")
    (inside / "folder").mkdir()
    for name in ("pipe", "folder"):
        for use in (root.open, lambda p: root.replace(p, b"x"), lambda p: root.append(p, b"x")):
            with pytest.raises(Refused):
                use(name)


def test_a_file_with_a_second_name_is_read_and_not_written(root: Root, inside: Path, outside: Path):
    os.link(outside / "file", inside / "hard")
    assert read(root, "hard") == b"outside"
    for use in (lambda: root.replace("hard", b"x"), lambda: root.append("hard", b"x")):
        with pytest.raises(Refused, match="second name"):
            use()
    assert (outside / "file").read_text(encoding="utf-8") == "outside"


def test_the_root_stays_the_same_folder_when_another_takes_its_place(root: Root, inside: Path, outside: Path):
    inside.rename(inside.with_name("moved"))
    inside.symlink_to(outside)
    root.replace("file", b"x")
    assert (outside / "file").read_text(encoding="utf-8") == "outside"


def test_a_folder_swapped_for_a_link_never_leads_out(root: Root, inside: Path, outside: Path):
    (inside / "d").mkdir()
    (inside / "d" / "file").write_text("inside", encoding="utf-8")
    (inside / "to_outside").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        names = [str(inside / name) for name in ("d", "aside", "to_outside")]
        while not stop.is_set():
            os.rename(names[0], names[1])
            os.rename(names[2], names[0])
            os.rename(names[0], names[2])
            os.rename(names[1], names[0])
            stop.wait(0.0005)  # as long inside as outside, or the race is won by whoever holds the interpreter

    swapper = threading.Thread(target=swap)
    swapper.start()
    uses = (
        lambda: read(root, "d/file"),
        lambda: root.append("d/file", b""),
        lambda: root.replace("d/file", b"inside"),
    )
    seen = {"inside": 0, "refused": 0}
    deadline = time.monotonic() + 20
    try:
        while min(seen.values()) < 300 and time.monotonic() < deadline:
            for use in uses:
                try:
                    assert use() in (None, b"inside")
                except (Refused, FileNotFoundError):
                    seen["refused"] += 1
                else:
                    seen["inside"] += 1
    finally:
        stop.set()
        swapper.join(5)
    assert (outside / "file").read_text(encoding="utf-8") == "outside"
    assert os.listdir(outside) == ["file"]
    assert min(seen.values()) >= 300, f"the race was not run: {seen}"
