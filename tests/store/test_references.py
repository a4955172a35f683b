"""Are stored artifacts whole, durable and found by their content alone?"""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orchestrald.errors import DamagedReference, NotFound, StoreError
from orchestrald.store import durable
from orchestrald.store.memory import MemoryReferences
from orchestrald.store.references import JUST_NOW_S, References, sweep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "references"


@pytest.fixture(params=["memory", "disk"])
def references(request: pytest.FixtureRequest, folder: Path) -> Any:
    return MemoryReferences() if request.param == "memory" else References(folder)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 4_096])
async def test_content_is_found_by_its_digest(references: Any, content: bytes) -> None:
    digest = await references.put(content)
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert await references.get(digest) == content
    assert await references.put(content) == digest


@pytest.mark.parametrize(
    "digest", [f"sha256:{'0' * 64}", "", "sha256:", "../../etc/passwd", f"sha256:{'A' * 64}", f"sha256:../{'0' * 61}"]
)
async def test_what_is_not_stored_is_not_found(references: Any, digest: str) -> None:
    with pytest.raises(NotFound):
        await references.get(digest)


async def test_the_same_content_many_times_at_once_is_one_private_file(folder: Path) -> None:
    references = References(folder)
    digests: list[str] = []

    async def put() -> None:
        digests.append(await references.put(b"same"))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(put)
    (file,) = files(folder)
    assert {f"sha256:{file.parent.name}{file.name}"} == set(digests)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


async def test_damaged_content_is_never_handed_out(folder: Path) -> None:
    references = References(folder)
    digest = await references.put(b"hello")
    (file,) = files(folder)
    file.write_bytes(b"hellO")
    with pytest.raises(DamagedReference, match="damaged"):
        await references.get(digest)


@pytest.mark.parametrize("trick", [os.symlink, os.link])
async def test_a_file_that_is_a_link_or_has_a_second_name_is_not_read(folder: Path, tmp_path: Path, trick: Any) -> None:
    references = References(folder)
    digest = await references.put(b"hello")
    (file,) = files(folder)
    file.rename(tmp_path / "elsewhere")
    trick(tmp_path / "elsewhere", file)
    with pytest.raises(StoreError, match="cannot be read"):
        await references.get(digest)


async def test_a_truncated_file_is_written_again(folder: Path) -> None:
    references = References(folder)
    digest = await references.put(b"hello")
    (file,) = files(folder)
    file.write_bytes(b"hel")
    assert await references.put(b"hello") == digest
    assert await references.get(digest) == b"hello"


async def test_a_disk_that_refuses_is_a_store_error_and_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = References(folder)
    digest = f"sha256:{hashlib.sha256(b'hello').hexdigest()}"
    (folder / digest[7:9] / digest[9:]).mkdir(parents=True)  # a folder where the file should go
    with pytest.raises(StoreError, match="cannot be written"):
        await references.put(b"hello")
    assert files(folder) == []


async def test_content_is_on_disk_before_its_name_and_the_name_before_the_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real = (durable.sync_file, Path.replace, durable.sync_folder)
    monkeypatch.setattr(durable, "sync_file", lambda path: (steps.append("file"), real[0](path)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (steps.append("name"), real[1](path, to))[1])
    monkeypatch.setattr(durable, "sync_folder", lambda path: (steps.append(path.name), real[2](path)))
    digest = await References(folder).put(b"hello")
    assert in_order(steps, ["file", "name", digest[7:9], folder.name]), steps


def in_order(steps: Sequence[str], wanted: Sequence[str]) -> bool:
    rest = iter(steps)
    return all(step in rest for step in wanted)


async def test_what_a_crash_left_half_written_is_swept_away(folder: Path) -> None:
    references = References(folder)
    digest = await references.put(b"hello")
    (folder / digest[7:9] / ".0123456789abcdef").write_bytes(b"hel")
    sweep(folder)
    assert len(files(folder)) == 1
    assert await references.get(digest) == b"hello"


async def test_content_is_removed_once_it_is_not_new_any_more(references: Any, autojump_clock: MockClock) -> None:
    digest = await references.put(b"hello")
    assert not await references.remove(digest), "who stored it may be about to name it"
    assert await references.get(digest) == b"hello"
    await trio.sleep(JUST_NOW_S / 2)
    await references.put(b"hello")
    await trio.sleep(JUST_NOW_S / 2 + 1)
    assert not await references.remove(digest), "somebody stored it again meanwhile"
    await trio.sleep(JUST_NOW_S)
    assert await references.remove(digest)
    with pytest.raises(NotFound):
        await references.get(digest)
    assert await references.remove(digest), "what is not there is as good as removed"
    assert await references.put(b"hello") == digest
    assert await references.get(digest) == b"hello"


async def test_content_that_is_stored_while_it_is_being_removed_is_there_afterwards(
    folder: Path, autojump_clock: MockClock
) -> None:
    references = References(folder)
    for n in range(50):
        digest = await references.put(b"again")
        await trio.sleep(JUST_NOW_S + 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(references.remove if n % 2 else references.put, digest if n % 2 else b"again")
            nursery.start_soon(references.put if n % 2 else references.remove, b"again" if n % 2 else digest)
        assert await references.get(digest) == b"again"


async def test_what_is_stored_is_listed_from_a_moment_on(references: Any) -> None:
    stored = {await references.put(content) for content in (b"a", b"b")}
    assert set(await references.digests(0)) == stored
    if isinstance(references, References):
        assert await references.digests(2**62) == []


async def test_files_of_others_in_the_folder_are_no_references(folder: Path) -> None:
    references = References(folder)
    digest = await references.put(b"a")
    (folder / "ab").mkdir(exist_ok=True)
    (folder / "ab" / "notes.txt").write_text("mine", encoding="utf-8")
    assert await references.digests(0) == [digest]
