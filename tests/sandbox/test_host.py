"""What is found out about the machine, and what is said when it lacks something?"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrald_sandbox import Mode, Policy, PolicyError, Unavailable, find_bwrap, prepare

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bwrap is for Linux")


@pytest.fixture
def bwrap(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "bin"
    folder.mkdir(mode=0o755)
    (folder / "bwrap").write_text("")
    (folder / "bwrap").chmod(0o755)
    return folder / "bwrap"


def test_links_to_bwrap_are_followed(bwrap: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bwrap)
    assert find_bwrap(str(tmp_path / "link")) == str(bwrap)


def test_a_bwrap_that_others_can_replace_is_not_trusted(bwrap: Path) -> None:
    for path in (bwrap, bwrap.parent):
        path.chmod(0o777)
        with pytest.raises(Unavailable, match="replaced by other users"):
            find_bwrap(str(bwrap))
        path.chmod(0o755)
    assert find_bwrap(str(bwrap)) == str(bwrap)


def test_a_bwrap_where_plugins_write_is_not_trusted(bwrap: Path) -> None:
    with pytest.raises(Unavailable, match="where plugins can write"):
        find_bwrap(str(bwrap), untrusted=[str(bwrap.parent)])


@pytest.mark.parametrize("configured", ["/no/such/bwrap", "relative/bwrap"])
def test_a_missing_bwrap_is_unavailable_with_a_hint(configured: str) -> None:
    with pytest.raises(Unavailable) as caught:
        find_bwrap(configured)
    assert caught.value.hint


def test_nothing_runs_without_a_sandbox_unless_the_mode_is_none() -> None:
    with pytest.raises(Unavailable):
        prepare(Policy(), ["/bin/true"], {}, None)
    plain = prepare(Policy(mode=Mode.NONE, workspace="/w/x"), ["/bin/true"], {"A": "1"}, None)
    assert plain.argv[-1] == "/bin/true" and plain.env == {"A": "1"} and plain.cwd == "/w/x"
    assert (plain.pass_fds, plain.status_read_fd) == ((), None)
    assert not [word for word in plain.argv if "nproc" in word]
    with pytest.raises(PolicyError, match="empty"):
        prepare(Policy(), [], {}, None)
