"""Working set, references and dialogue through the socket, with the daemon killed between writing and reading."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import Refused
from support.daemon import Daemon, daemon

pytestmark = pytest.mark.slow


@pytest.fixture
def place() -> Iterator[Daemon]:
    with daemon("store: {inline_output_bytes: 1024}\n") as made:
        yield made


def echo(id_: str, message: Any, **rest: Any) -> dict[str, Any]:
    return {"id": id_, "action": "echo", "params": {"message": message}, **rest}


def restart(place: Daemon) -> None:
    place.kill()
    place.start()


def in_thread(place: Daemon, thread_id: str, *steps: dict[str, Any]) -> dict[str, Any]:
    plan = {"goal": "test", "steps": list(steps)}
    submitted = place.call("interaction.submit", plan=plan, thread_id=thread_id)
    return place.end_of(submitted["interaction_id"])


def test_what_was_kept_survives_a_kill_and_is_what_the_next_plan_reads(place: Daemon) -> None:
    first = place.run(echo("a", "the report", remember={"thread.report": "result", "global.whole": ""}))
    thread = {"scope": "thread", "owner": first["thread_id"]}
    answer = place.call("memory.set", key="n", value=[1, None], **thread, request_id="r1")
    restart(place)
    again = place.call("memory.set", key="n", value=[1, None], **thread, request_id="r1")
    assert again == {**answer, "replayed": True}
    assert [row["key"] for row in place.call("memory.list", **thread)["keys"]] == ["n", "report"]
    assert place.call("memory.get", key="report", **thread)["by"] == f"{first['interaction_id']}/a"
    second = in_thread(
        place,
        first["thread_id"],
        echo("b", "{{memory.thread.report}}, {{memory.thread.n[0]}}, {{memory.global.whole.result}}"),
    )
    assert second["steps"][0]["output"] == {"result": "the report, 1, the report"}


def test_a_plan_that_waits_sees_after_a_kill_what_it_saw_when_it_was_adopted(place: Daemon) -> None:
    place.call("memory.set", key="k", value="before")
    ask = {"id": "ask", "kind": "wait_user", "remember": {"global.said": "answer"}}
    waiting = place.run(ask, echo("b", "{{memory.global.k}} {{ask.answer}}"))
    place.call("memory.set", key="k", value="after")
    restart(place)
    place.call("interaction.respond", interaction_id=waiting["interaction_id"], payload="yes")
    ended = place.end_of(waiting["interaction_id"])
    assert ended["steps"][1]["output"] == {"result": "before yes"}
    assert place.call("memory.get", key="said")["value"] == "yes"


def test_the_scope_of_a_step_is_its_output_and_nobody_writes_it(place: Daemon) -> None:
    ended = place.run(echo("a", "hello"))
    step = {"scope": "step", "owner": f"{ended['interaction_id']}/a"}
    assert place.call("memory.list", **step)["keys"] == [{"key": "result"}]
    assert place.call("memory.get", key="result", **step)["value"] == "hello"
    for method, about in (("memory.set", {"value": 1}), ("memory.delete", {})):
        with pytest.raises(Refused, match="nobody else writes"):
            place.call(method, key="result", **step, **about)
    with pytest.raises(Refused, match="no key 'other'"):
        place.call("memory.get", key="other", **step)


def test_a_plan_that_names_no_place_is_refused_with_every_fault(place: Daemon) -> None:
    plan = {"steps": [echo("a", "{{memory.step.x}}", remember={"nowhere": "result"})]}
    problems = place.call("plan.validate", plan=plan)["problems"]
    assert [(each["path"], each["code"]) for each in problems] == [
        ("steps[0].params.message", "bad_place"),
        ("steps[0].remember.nowhere", "bad_place"),
    ]
    assert all(each["hint"] for each in problems)


def test_content_is_stored_listed_fetched_and_deleted_across_kills(place: Daemon) -> None:
    content = base64.b64encode(b"\xff\x00").decode()
    made = place.call("reference.put", base64=content, name="a.bin", metadata={"k": 1}, request_id="r1")
    thread_id = place.call("thread.create", title="t")["thread_id"]
    noted = place.call("reference.put", text="note", thread_id=thread_id, type="summary")
    restart(place)
    assert place.call("reference.put", base64=content, name="a.bin", metadata={"k": 1}, request_id="r1")["replayed"]
    listed = place.call("reference.list")["references"]
    assert [(row["digest"], row["type"]) for row in listed] == [(noted["digest"], "summary"), (made["digest"], "file")]
    assert [row["digest"] for row in place.call("reference.list", thread_id=thread_id)["references"]] == [
        noted["digest"]
    ]
    page = place.call("reference.list", limit=1)
    assert [row["name"] for row in place.call("reference.list", cursor=page["cursor"])["references"]] == ["a.bin"]
    found = place.call("reference.get", digest=made["digest"])
    assert (found["base64"], found["name"], found["metadata"]) == (content, "a.bin", {"k": 1})
    assert place.call("reference.delete", digest=made["digest"]) == {"digest": made["digest"], "rows": 1}
    restart(place)
    with pytest.raises(Refused, match="no reference"):
        place.call("reference.get", digest=made["digest"])
    assert place.call("reference.get", digest=noted["digest"])["text"] == "note"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "either text or base64"),
    ({"text": "x", "base64": "eA=="}, "either text or base64"),
    ({"base64": "?"}, "base64"),
    ({"text": "x" * (3 * 1024 * 1024 + 1)}, "3145728"),
    ({"text": "x", "keep": True, "until": 5}, "keep or until"),
    ({"text": "x", "thread_id": "nobody"}, "no thread"),
    ({"text": "x", "type": "Bad Type"}, "type"),
]


def test_content_that_cannot_be_stored_is_refused_in_words(place: Daemon) -> None:
    for params, says in REFUSED:
        with pytest.raises(Refused, match=says):
            place.call("reference.put", **params)
    assert place.call("reference.list")["references"] == []


def test_a_damaged_reference_does_not_stop_the_daemon_from_starting(place: Daemon) -> None:
    ask = {"id": "ask", "kind": "wait_user", "depends_on": ["a"]}
    hurt = place.run(echo("a", "x" * 5000), ask, echo("b", "{{a.result}}", depends_on=["ask"]))
    (stored,) = [step["stored"] for step in hurt["steps"] if "stored" in step]
    digest = stored["digest"].removeprefix("sha256:")
    place.kill()
    file = Path(place.paths.references) / digest[:2] / digest[2:]
    file.write_bytes(b"something else")
    place.start()
    with pytest.raises(Refused, match="damaged") as caught:
        place.call("interaction.respond", interaction_id=hurt["interaction_id"], payload="go on")
    assert caught.value.kind == "damaged_reference"
    assert place.run(echo("c", "well"))["state"] == "completed"


def test_a_dialogue_is_what_was_said_and_survives_a_kill(place: Daemon) -> None:
    first = place.call("interaction.submit", intent="no playbook knows this")
    place.end_of(first["interaction_id"])
    in_thread(place, first["thread_id"], *(echo(f"s{n}", str(n)) for n in range(60)))
    restart(place)
    said = place.call("thread.dialogue", thread_id=first["thread_id"])["messages"]
    assert (said[0]["text"], "no playbook" in said[1]["text"].lower()) == ("no playbook knows this", True)
    assert [each["role"] for each in said] == ["user", "assistant", "user", "assistant"]
    newest = place.call("thread.dialogue", thread_id=first["thread_id"], limit=1)["messages"]
    assert newest == said[-1:]
    with pytest.raises(Refused, match="no thread"):
        place.call("thread.dialogue", thread_id="nobody")


def is_gone(place: Daemon, digest: str) -> bool:
    try:
        place.call("reference.get", digest=digest)
    except Refused as refusal:
        return refusal.kind == "not_found"
    return False


def test_what_is_past_its_moment_and_what_nobody_names_goes_at_the_next_start(place: Daemon) -> None:
    brief = place.call("reference.put", text="brief", until=1)
    kept = place.call("reference.put", text="kept", keep=True)
    used = place.run(echo("a", "x" * 5000))
    last = place.events()[-1]["seq"]
    place.kill()
    folder = Path(place.paths.references)
    orphan = folder / "ab" / ("c" * 62)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"a crash left it")
    place.start()
    gone = place.call("events.list", after_seq=last, types=["artifact.deleted"], wait_ms=20_000)["events"]
    assert [(event["data"]["digest"], event["data"]["reason"]) for event in gone] == [(brief["digest"], "expired")]
    assert not orphan.exists()
    assert any(is_gone(place, brief["digest"]) for _ in range(1_000)), "the file goes right behind its row"
    restart(place)
    assert is_gone(place, brief["digest"])
    assert place.call("reference.get", digest=kept["digest"])["text"] == "kept"
    (stored,) = [step["stored"] for step in used["steps"]]
    assert place.call("reference.get", digest=stored["digest"])["size"] == stored["size"]
