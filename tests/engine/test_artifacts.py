"""Does stored content stay as long as somebody needs it, and no longer?"""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orchestrald.core.interaction import Interaction
from orchestrald.engine.engine import Engine
from orchestrald.engine.snapshot import snapshot
from orchestrald.errors import DamagedReference, NotFound, WrongState
from orchestrald.runner.base import Succeeded
from support.rig import Gate, Rig, step

HOUR = 3600.0
LARGE = {"text": "x" * 500}


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """What a step says with more than a few bytes is stored, and kept for an hour."""
    rig.limits = {"inline_output_bytes": 100, "retention": HOUR}  # type: ignore[dict-item]
    rig.script["work"] = [Succeeded(LARGE)]
    return rig


async def steps_of(engine: Engine, interaction_id: str) -> list[dict[str, Any]]:
    shown = await engine.view(interaction_id, lambda state, seq: snapshot(state, outputs=True, last_seq=seq))
    return list(shown["steps"])


async def digest_of(rig: Rig, state: Interaction) -> str:
    stored = (await rig.end_of(state.id)).runs["a"].stored
    assert stored is not None
    return stored.digest


async def test_a_large_output_is_a_reference_with_an_event_in_the_commit_of_its_step(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as engine:
        ended = await rig.run(step("a"))
        (row,) = await engine.reader.kept.references()
    stored = ended.runs["a"].stored
    assert stored is not None
    assert (row.digest, row.size, row.type, row.name) == (stored.digest, stored.size, "document", "a.json")
    assert (row.thread_id, row.interaction_id, row.step_id) == (ended.thread_id, ended.id, "a")
    assert row.until == row.created_at + HOUR * 1_000_000
    assert [kind for kind in rig.types() if "artifact" in kind or "step." in kind] == [
        "step.started a",
        "artifact.stored a",
        "step.succeeded a",
    ]


async def test_the_files_that_a_program_hands_over_are_references_too(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as engine:
        digest = await rig.references.put(b"png")
        about = {"$artifact": digest, "media_type": "image/png", "size": 3, "name": "a.png"}
        rig.script["other"] = [Succeeded({"files": [about, about], "no": {"$artifact": "../../etc/passwd"}})]
        rig.limits["inline_output_bytes"] = 10_000
        await rig.run(step("a", "other"))
        found = [row for row in await engine.reader.kept.references() if row.type != "document"]
    assert [(row.digest, row.type, row.media_type, row.name) for row in found] == [
        (digest, "image", "image/png", "a.png")
    ]


async def test_what_is_past_its_moment_goes_within_a_day_and_the_interaction_still_shows(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as engine:
        state = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        digest = await digest_of(rig, state)
        assert "pruned" not in (await steps_of(engine, state.id))[0]["stored"]
        await trio.sleep(25 * HOUR)
        with pytest.raises(NotFound):
            await rig.references.get(digest)
        (a, b) = await steps_of(engine, state.id)
        assert a["stored"]["pruned"] is True
        assert (a["state"], b["output"]) == ("succeeded", {"ok": True})
        assert await engine.reader.kept.references() == []
        with pytest.raises(NotFound):  # to go on it would need what is gone
            await engine.retry(state.id, "b", "uid:0")
    (gone,) = [event for event in rig.events if event.type == "artifact.deleted"]
    assert (gone.data["digest"], gone.data["reason"]) == (digest, "expired")


async def test_what_an_unfinished_interaction_needs_stays_whatever_its_moment(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as engine:
        ask = {"id": "ask", "kind": "wait_user", "depends_on": ["a"]}
        state = await rig.submit(step("a"), ask, step("b", "other", params={"x": "{{a.text}}"}, depends_on=["ask"]))
        digest = await digest_of(rig, state)
        await trio.sleep(25 * HOUR)
        with pytest.raises(WrongState, match="unfinished"):
            await engine.artifacts.delete(digest, "uid:0", None)
    async with rig.running() as engine:
        await engine.answer(state.id, None, "go on", "uid:0")
        assert (await rig.end_of(state.id)).state == "completed"
        await trio.sleep(25 * HOUR)
        assert digest not in rig.references.contents


async def test_the_same_content_stays_while_one_reference_is_left(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as engine:
        about = {"type": "text", "media_type": "text/plain", "name": "", "metadata": {}, "by": "uid:0"}
        kept = await engine.artifacts.put(b"same", about, "", None)
        await engine.artifacts.put(b"same", {**about, "until": engine.clock.now() + 1}, "", None)
        await trio.sleep(25 * HOUR)
        assert [row.until for row in await engine.reader.kept.references()] == [None]
        assert await rig.references.get(kept["digest"]) == b"same"
        await engine.artifacts.delete(kept["digest"], "uid:0", None)
        with pytest.raises(NotFound):
            await rig.references.get(kept["digest"])
        with pytest.raises(NotFound):
            await engine.artifacts.delete(kept["digest"], "uid:0", None)


async def test_content_that_is_deleted_a_moment_after_it_was_stored_goes_a_moment_later(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as engine:
        about = {"type": "text", "media_type": "text/plain", "name": "", "metadata": {}, "by": "uid:0"}
        digest = (await engine.artifacts.put(b"brief", about, "", None))["digest"]
        await engine.artifacts.delete(digest, "uid:0", None)
        assert digest in rig.references.contents, "whoever stores it at this moment may be about to name it"
        with pytest.raises(NotFound):
            await engine.artifacts.get(digest)
        await engine.artifacts.put(b"again", about, "", None)
        await trio.sleep(200)
        assert digest not in rig.references.contents
        assert len(rig.references.contents) == 1


async def test_what_a_crash_left_without_a_reference_goes_at_the_next_start(
    rig: Rig, autojump_clock: MockClock
) -> None:
    orphan = await rig.references.put(b"orphan")
    async with rig.running():
        state = await rig.submit(step("a"))
        digest = await digest_of(rig, state)
        await trio.sleep(200)
    async with rig.running():
        await trio.sleep(1)
        assert orphan not in rig.references.contents
        assert digest in rig.references.contents


async def test_what_is_over_can_be_looked_at_also_when_an_output_of_it_is_damaged(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as engine:
        state = await rig.run(step("a"))
        for digest in rig.references.contents:
            rig.references.contents[digest] = b"something else"
        (a,) = await steps_of(engine, state.id)
        assert "pruned" not in a["stored"]
        with pytest.raises(DamagedReference):
            await engine.retry(state.id, "a", "uid:0")


async def test_a_damaged_reference_ends_the_interaction_that_needs_it_and_no_other(
    rig: Rig, autojump_clock: MockClock
) -> None:
    gate = Gate()
    rig.script["other"] = [gate]
    async with rig.running():
        hurt = await rig.submit(step("a"), step("b", "other", depends_on=["a"]))
        await gate.begun.wait()
        for digest in rig.references.contents:
            rig.references.contents[digest] = b"something else"
        well = await rig.submit(step("c", "other"))
    gate.open.set()
    async with rig.running() as engine:
        ended = await engine.reader.interaction(hurt.id)
        assert ended is not None
        assert ended.state == "failed"
        assert "damaged" in (ended.answer or "")
        assert (await rig.end_of(well.id)).state == "completed"
