"""What does the staged /etc hold, and what of the host's does it leave out?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrald_sandbox import etc


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "etc"
    (folder / "ssl" / "certs").mkdir(parents=True)
    (folder / "ssl" / "private").mkdir()
    (folder / "ssl" / "private" / "key.pem").write_text("key")
    (folder / "ssl" / "private").chmod(0o700)
    (folder / "ssl" / "certs" / "ca.pem").write_text("ca")
    (folder / "ssl" / "half-secret").write_text("secret")
    (folder / "ssl" / "half-secret").chmod(0o640)
    (folder / "localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (folder / "shadow").write_text("hashes")
    (folder / "passwd").write_text("alice:x:1000:1000::/home/alice:/bin/sh\n")
    (folder / "os-release").symlink_to("shadow")
    return folder


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_only_what_everybody_may_read_is_staged(source: Path, tmp_path: Path) -> None:
    (source / "shadow").chmod(0o600)
    staged = content(etc.stage(tmp_path / "state", source=source, users=((1000, 1000),)))
    assert set(staged) == {
        "ssl/certs/ca.pem", "localtime", "passwd", "group", "hosts", "nsswitch.conf", "resolv.conf",
    }  # fmt: skip
    assert staged["localtime"] == "/usr/share/zoneinfo/Etc/UTC"
    assert "alice" not in staged["passwd"] and "plugin1000:x:1000:1000:" in staged["passwd"]


def test_it_is_staged_once_and_again_when_a_source_changes(source: Path, tmp_path: Path) -> None:
    first = etc.stage(tmp_path / "state", source=source)
    inode = first.stat().st_ino
    assert etc.stage(tmp_path / "state", source=source).stat().st_ino == inode
    (source / "ssl" / "certs" / "new.pem").write_text("new")
    second = etc.stage(tmp_path / "state", source=source)
    assert second != first and (second / "ssl/certs/new.pem").exists() and first.exists()
    etc.prune(tmp_path / "state", keep=second)
    assert not first.exists() and second.exists()
