"""The daemon's own folders and protected names are kept from the daemon's own hands."""

from pathlib import Path

import pytest

from orchestrald.runner.untouchable import Untouchable


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("path", ["state/orchestrald.db", "state", "link/orchestrald.db", "work/../state/x"])
def test_the_daemons_own_folders_are_neither_read_nor_written(tmp_path: Path, path: str, write: bool):
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    untouchable = Untouchable.of([str(tmp_path / "link")])
    told = untouchable.refusal(str(tmp_path / "link"), "x", write=write)
    assert "belongs to the daemon" in told
    if not path.startswith("link"):
        assert "belongs to the daemon" in untouchable.refusal(str(tmp_path), path, write=write)


def test_a_folder_beside_them_with_the_same_beginning_is_free(tmp_path: Path):
    untouchable = Untouchable.of([str(tmp_path / "state")])
    assert untouchable.refusal(str(tmp_path), "state-of-the-art.md", write=True) == ""


def test_protected_names_may_be_read_and_are_not_counted_above_the_root(tmp_path: Path):
    untouchable = Untouchable()
    assert untouchable.refusal(str(tmp_path), ".env", write=False) == ""
    assert untouchable.refusal(str(tmp_path / ".git" / "worktree"), "notes.md", write=True) == ""
    assert "protected" in untouchable.refusal(str(tmp_path), "x/.git/config", write=True)
