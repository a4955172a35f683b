"""Do the file actions read and write the workspace, in bounds, and nothing else?"""

import os
from pathlib import Path
from typing import Any

import pytest

import orchestrald_files
from orchestrald.errors import ConfigError
from orchestrald.testing import Checked, actions_of, check_action


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


async def call(name: str, workspace: Path | str, settings: dict[str, Any] | None = None, **params: Any) -> Checked:
    return await check_action(actions_of(orchestrald_files, settings)[name], params, workspace=str(workspace))


async def test_a_file_is_written_and_read_back(workspace: Path):
    written = await call("file_write", workspace, path="a/b.txt", content="grüß")
    assert written.output == {"path": f"{workspace}/a/b.txt", "bytes": 6}
    read = await call("file_read", workspace, path=f"{workspace}/a/b.txt")
    assert read.output == {"content": "grüß", "path": f"{workspace}/a/b.txt", "bytes": 6, "truncated": False}


async def test_a_long_file_is_refused_or_cut_between_characters(workspace: Path):
    (workspace / "long").write_text("aü" * 10, encoding="utf-8")
    assert (await call("file_read", workspace, path="long", max_bytes=8)).failure.code == "too_large"
    cut = await call("file_read", workspace, path="long", max_bytes=8, truncate=True)
    assert cut.output == {"content": "aüaüa", "path": f"{workspace}/long", "bytes": 7, "truncated": True}


async def test_a_step_can_lower_the_operators_limit_and_not_raise_it(workspace: Path):
    (workspace / "f").write_text("x" * 20, encoding="utf-8")
    limits = {"max_read_bytes": 10, "max_write_bytes": 10}
    assert (await call("file_read", workspace, limits, path="f", max_bytes=1000)).failure.code == "too_large"
    too_long = await call("file_write", workspace, limits, path="g", content="x" * 11, max_bytes=1000)
    assert too_long.failure.code == "too_large"
    assert not (workspace / "g").exists()


async def test_an_endless_file_is_read_no_further_than_the_limit(workspace: Path):
    os.truncate(workspace / "sparse" if (workspace / "sparse").touch() is None else "", 1 << 40)
    cut = await call("file_read", workspace, path="sparse", max_bytes=4, truncate=True)
    assert cut.output["content"] == "\0" * 4


async def test_what_is_not_text_is_refused(workspace: Path):
    (workspace / "binary").write_bytes(b"ok\xff\xfe")
    assert (await call("file_read", workspace, path="binary")).failure.code == "not_text"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../secret", "bad_path"),
        ("a/../../secret", "bad_path"),
        ("/etc/hostname", "outside_workspace"),
        ("link", "refused"),
        ("folder/secret", "refused"),
        ("pipe", "refused"),
        ("missing", "not_found"),
    ],
)
async def test_nothing_outside_of_the_workspace_is_read(workspace: Path, tmp_path: Path, path: str, code: str):
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (workspace / "link").symlink_to(tmp_path / "secret")
    (workspace / "folder").symlink_to(tmp_path)
    os.mkfifo(workspace / "pipe")
    assert (await call("file_read", workspace, path=path)).failure.code == code


@pytest.mark.parametrize(
    ("path", "code"),
    [("../new", "bad_path"), ("/tmp/new", "outside_workspace"), ("link", "refused"), ("folder/new", "refused")],
)
async def test_nothing_outside_of_the_workspace_is_written(workspace: Path, tmp_path: Path, path: str, code: str):
    outside = tmp_path / "outside"
    outside.mkdir()
    (workspace / "link").symlink_to(outside / "new")
    (workspace / "folder").symlink_to(outside)
    assert (await call("file_write", workspace, path=path, content="x")).failure.code == code
    assert os.listdir(outside) == []


async def test_without_a_workspace_it_says_how_to_pass_one():
    for name, params in (("file_read", {}), ("file_write", {"content": "x"})):
        failure = (await call(name, "", path="a", **params)).failure
        assert (failure.code, "--workspace" in failure.message) == ("no_workspace", True)


async def test_append_empty_and_folders_are_as_asked_for(workspace: Path):
    for _ in range(2):
        assert (await call("file_write", workspace, path="log", content="x\n", append=True)).output["bytes"] == 2
    assert (workspace / "log").read_text(encoding="utf-8") == "x\nx\n"
    assert (await call("file_write", workspace, path="log", content="")).failure.code == "empty"
    assert (await call("file_write", workspace, path="log", content="", allow_empty=True)).output["bytes"] == 0
    refused = await call("file_write", workspace, {"create_dirs": False}, path="no/such", content="x")
    assert refused.failure.code == "not_found"


async def test_the_operators_append_is_the_default(workspace: Path):
    for _ in range(2):
        await call("file_write", workspace, {"append": True}, path="log", content="x")
    assert (workspace / "log").read_text(encoding="utf-8") == "xx"


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", "sub/.env.local", ".bashrc", "a/.vscode/tasks.json"])
async def test_what_other_programs_execute_or_trust_is_not_written(workspace: Path, path: str):
    written = await call("file_write", workspace, path=path, content="x")
    assert written.failure.code == "protected"
    assert not (workspace / path).exists()


async def test_read_only_writes_nothing(workspace: Path):
    denied = await call("file_write", workspace, {"sandbox_mode": "read_only"}, path="a", content="x")
    assert denied.failure.code == "denied"
    assert os.listdir(workspace) == []


async def test_further_roots_are_the_operators_to_give(workspace: Path, tmp_path: Path):
    (tmp_path / "more").mkdir()
    settings = {"sandbox_writable_roots": [".", str(tmp_path / "more")]}
    assert (await call("file_write", workspace, settings, path=f"{tmp_path}/more/x", content="x")).output["bytes"] == 1
    assert (tmp_path / "more" / "x").exists()


async def test_mode_none_lifts_the_roots_and_still_follows_no_link(workspace: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    none = {"sandbox_mode": "none"}
    assert (await call("file_read", workspace, none, path=f"{tmp_path}/file")).output["content"] == "x"
    assert (await call("file_read", workspace, none, path=f"{tmp_path}/link")).failure.code == "refused"


async def test_a_plan_cannot_choose_the_mode(workspace: Path):
    for extra in ({"sandbox_mode": "none"}, {"approved": True}):
        assert (await call("file_read", workspace, path="x", **extra)).failure.code == "invalid_params"


@pytest.mark.parametrize(
    "settings", [{"sandbox_mode": "read_onyl"}, {"max_read_byte": 1}, {"max_read_bytes": "many"}], ids=repr
)
def test_a_wrong_setting_is_an_error_that_names_it(settings: dict[str, Any]):
    with pytest.raises(ConfigError, match=r"sandbox_mode|max_read_bytes"):
        actions_of(orchestrald_files, settings)


async def test_sizes_are_clamped_as_in_the_original(workspace: Path):
    (workspace / "f").write_text("xy", encoding="utf-8")
    cut = await call("file_read", workspace, {"max_read_bytes": 0}, path="f", truncate=True)
    assert cut.output["content"] == "x"
