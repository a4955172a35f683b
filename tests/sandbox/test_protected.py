"""Which names in the workspace may a command not touch, and what becomes of those it makes?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald_sandbox import PROTECTED, PolicyError, protected
from orchestrald_sandbox.protected import Names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return (tmp_path / "root").resolve()


def names(root: Path, wanted: tuple[str, ...] = PROTECTED) -> list[str]:
    return sorted(os.path.relpath(path, root) for path in protected.find([str(root)], wanted).paths)


def test_names_are_found_to_a_depth_of_three(root: Path) -> None:
    for path in (".git", "a/.git", "a/b/.git", "a/b/c/.git"):
        (root / path).mkdir(parents=True)
    (root / "a" / ".env.local").write_text("")
    (root / "a" / "environment").write_text("")
    assert names(root) == [".git", "a/.env.local", "a/.git", "a/b/.git"]


def test_upper_and_lower_case_are_the_same(root: Path) -> None:
    (root / ".Git").mkdir()
    (root / ".ENV").write_text("")
    assert names(root) == [".ENV", ".Git"]


def test_a_name_with_a_slash_protects_only_what_is_below(root: Path) -> None:
    (root / "a" / ".git" / "hooks").mkdir(parents=True)
    (root / "a" / "hooks").mkdir()
    assert names(root, (".git/hooks", ".git/info/attributes")) == ["a/.git/hooks"]


def test_nothing_is_looked_for_behind_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside" / ".git").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "outside")
    assert names(root) == []


@given(name=st.sampled_from(["", "/", "..", "a/../b", "./x", "."]))
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(PolicyError):
        Names.of([name])


def test_no_names_protect_nothing(root: Path) -> None:
    (root / ".git").mkdir()
    assert names(root, ()) == []


@pytest.mark.parametrize("target", ["elsewhere", "real"])
def test_a_link_refuses_the_start_even_when_it_dangles(root: Path, target: str) -> None:
    (root / "real").mkdir()
    (root / ".git").symlink_to(target)
    with pytest.raises(PolicyError, match=r"\.git is a link"):
        protected.before([str(root)], PROTECTED)


def test_a_git_pointer_file_protects_what_it_leads_to(root: Path) -> None:
    worktree, common = root / "store" / "worktrees" / "w", root / "store"
    worktree.mkdir(parents=True)
    (root / "w").mkdir()
    (root / "w" / ".git").write_text("gitdir: ../store/worktrees/w\n")
    (worktree / "commondir").write_text("../..\n")
    found = protected.before([str(root)], PROTECTED)
    assert set(found.paths) == {str(root / "w" / ".git"), str(worktree), str(common)}
    (root / "w" / ".git").write_text("gitdir: /etc\n")
    assert set(protected.before([str(root)], PROTECTED).paths) == {str(root / "w" / ".git")}


def test_a_tree_that_is_too_wide_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys.modules["orchestrald_sandbox.protected"], "MOST_ENTRIES", 10)
    for number in range(11):
        (root / str(number)).touch()
    with pytest.raises(PolicyError, match="narrower"):
        names(root)


def after(root: Path, earlier: protected.Found, quarantine: Path) -> dict[str, str | None]:
    found = protected.after(iter([str(root)]), PROTECTED, earlier, str(quarantine))
    return {os.path.relpath(each.path, root): each.moved_to for each in found}


def test_new_names_are_moved_and_known_ones_stay(root: Path, tmp_path: Path) -> None:
    (root / ".git").mkdir()
    earlier = protected.before([str(root)], PROTECTED)
    (root / ".git" / "new").write_text("")
    (root / "a").mkdir()
    (root / "a" / ".env").write_text("evil")
    (root / ".npmrc").symlink_to("/etc/passwd")
    moved = after(root, earlier, tmp_path / "q")
    assert set(moved) == {"a/.env", ".npmrc"}
    assert Path(moved["a/.env"] or "").read_text() == "evil"
    assert os.path.islink(moved[".npmrc"] or "")
    assert names(root) == [".git"] and after(root, earlier, tmp_path / "q") == {}


def test_nothing_new_makes_no_quarantine(root: Path, tmp_path: Path) -> None:
    earlier = protected.before([str(root)], PROTECTED)
    assert after(root, earlier, tmp_path / "q") == {} and not (tmp_path / "q").exists()


def test_where_it_cannot_be_moved_away_it_stays_under_a_name_that_nothing_obeys(root: Path) -> None:
    earlier = protected.before([str(root)], PROTECTED)
    (root / ".envrc").write_text("evil")
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == root.stat().st_dev:
        pytest.skip("NO SECOND FILE SYSTEM HERE")
    quarantine = shm / f"orchestrald-{os.getpid()}"
    try:
        moved = after(root, earlier, quarantine)
        assert moved == {".envrc": str(root / f"quarantined-{quarantine.name}-0-envrc")}
        assert names(root) == []
    finally:
        quarantine.rmdir()


def test_a_root_that_is_gone_afterwards_has_nothing(root: Path, tmp_path: Path) -> None:
    earlier = protected.before([str(root)], PROTECTED)
    root.rmdir()
    assert after(root, earlier, tmp_path / "q") == {}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/.git/hooks", ".git"),
        (".ENV.local", ".ENV.local"),
        ("a/b", ""),
        ("conf/x/y", "conf"),
        ("conf", ""),
        ("a/gitx", ""),
    ],
)
def test_a_path_that_touches_something_protected_is_told_by_the_first_name(path: str, name: str) -> None:
    assert protected.touched(path, [".git", ".env*", "conf/x"]) == name
