"""What a running command has used, read from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrald_sandbox import Limits, usage

SMALL = Limits(workspace_bytes=1 << 20, workspace_files=50)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_tree_is_counted_with_its_memory_and_is_empty_when_gone() -> None:
    code = "import os, sys; kept = bytearray(32 << 20); os.fork(); os.write(1, b'.'); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.read(2) == b".."
    assert len(usage.processes(process.pid)) == 2
    assert usage.resident(usage.processes(process.pid)) > 32 << 20
    process.stdin.close()
    process.stdout.read()
    process.wait()
    process.stdout.close()
    assert usage.processes(process.pid) == ()
    assert usage.resident([process.pid]) == 0


def now(folder: Path) -> usage.Disk:
    return usage.Disk.now([str(folder)], time.time_ns())


def test_what_was_there_before_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(os.urandom(4 << 20))
    os.utime(tmp_path / "old")
    long_ago = time.time_ns() + 10**9  # as if the run began a second later: nobody here need wait for it
    assert usage.Disk.now([str(tmp_path)], long_ago).too_much(SMALL) == ""


def test_bytes_and_files_written_since_are_counted_wherever_they_lie(tmp_path: Path) -> None:
    disk = now(tmp_path)
    assert disk.too_much(SMALL) == ""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "big").write_bytes(os.urandom(2 << 20))
    os.sync()
    assert "bytes were written" in disk.too_much(SMALL)
    (deep / "big").unlink()
    for number in range(60):
        (deep / str(number)).touch()
    assert "files were made" in disk.too_much(SMALL)


def test_a_time_that_was_turned_back_does_not_hide_a_file(tmp_path: Path) -> None:
    disk = now(tmp_path)
    (tmp_path / "big").write_bytes(os.urandom(2 << 20))
    os.sync()
    os.utime(tmp_path / "big", (0, 0))
    assert disk.too_much(SMALL)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside").mkdir()
    disk = now(tmp_path / "inside")
    (tmp_path / "outside" / "big").write_bytes(os.urandom(2 << 20))
    os.sync()
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    assert disk.too_much(SMALL) == ""


def test_a_tree_too_deep_to_be_looked_into_counts_as_too_much(tmp_path: Path) -> None:
    disk = now(tmp_path)
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):  # 30 x 200 characters is past what a path may have
        os.mkdir("d" * 200, dir_fd=deep)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    assert "bytes were written" in disk.too_much(SMALL)


def test_the_trees_are_walked_only_when_a_file_system_has_lost_that_much(tmp_path: Path) -> None:
    disk = now(tmp_path)
    assert not disk.suspicious(Limits())
    (tmp_path / "big").write_bytes(os.urandom(96 << 20))
    os.sync()
    assert disk.suspicious(SMALL)
    assert not usage.Disk.now([str(tmp_path / "no")], time.time_ns()).suspicious(SMALL)
