"""`orchestral memory` and `orchestral references`: what they ask for, what they print, and what they refuse."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrald.cli.main import dispatch
from orchestrald.cli.memory import listing as memory_listing
from orchestrald.cli.references import listing

NOW = 1_700_000_000_000_000
DIGEST = f"sha256:{'3f2a' * 16}"
KEY = {"key": "report\x1b[2J", "size": 2048, "by": "uid:1000", "at": NOW - 60_000_000}
STORED = {"seq": 7, "digest": DIGEST, "type": "image", "size": 1536, "created_at": NOW, "name": "a\x1b.png"}


@pytest.fixture
def known(daemon: Any) -> Any:
    daemon.answers |= {
        "interaction.list": {"interactions": [{"interaction_id": "int_abc"}]},
        "events.list": {"events": [], "last_seq": 0},
        "memory.list": {"keys": [KEY]},
        "memory.get": {"value": {"a": ["é"]}},
        "memory.set": lambda _, params: {"scope": params["scope"], "key": params["key"]},
        "memory.delete": lambda _, params: {"scope": params["scope"], "key": params["key"]},
        "reference.list": {"references": [STORED], "cursor": 7},
        "reference.get": {"digest": DIGEST, "base64": base64.b64encode(b"\x00\xff").decode()},
        "reference.put": {"digest": DIGEST},
        "reference.delete": {"digest": DIGEST, "rows": 1},
    }
    return daemon


def asked(daemon: Any, method: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in params.items() if k != "request_id"} for name, params in daemon.asked if name == method]


def test_the_keys_are_listed_with_who_wrote_them(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["memory"]) == 0
    said = capsys.readouterr().out
    assert "report\\x1b[2J" in said
    assert "\x1b" not in said
    (_, line) = memory_listing([KEY], NOW, 100)
    assert "2.0 KiB" in line
    assert line.endswith("1 min ago  uid:1000")


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ([], {"scope": "global", "owner": ""}),
        (["--thread", "thr_1"], {"scope": "thread", "owner": "thr_1"}),
        (["--interaction", "int_a"], {"scope": "interaction", "owner": "int_abc"}),
        (["--interaction", "int_a", "--step", "s"], {"scope": "step", "owner": "int_abc/s"}),
    ],
)
def test_the_options_say_whose_memory_it_is(known: Any, options: list[str], where: dict[str, str]) -> None:
    assert dispatch(["memory", "get", "k", *options]) == 0
    assert asked(known, "memory.get") == [{"key": "k", **where}]


def test_values_are_text_or_json_as_for_call_and_each_is_a_request_of_its_own(
    known: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["memory", "set", "city=Berlin", 'limits:={"pages": 20}']) == 0
    whose = {"scope": "global", "owner": ""}
    assert asked(known, "memory.set") == [
        {"key": "city", "value": "Berlin", **whose},
        {"key": "limits", "value": {"pages": 20}, **whose},
    ]
    assert len({params["request_id"] for name, params in known.asked if name == "memory.set"}) == 2
    assert capsys.readouterr().out == "global.city is kept.\nglobal.limits is kept.\n"
    assert dispatch(["memory", "delete", "city"]) == 0
    assert capsys.readouterr().out == "global.city is kept no more.\n"


@pytest.mark.parametrize(
    "words",
    [
        ["memory", "keep"],
        ["memory", "get"],
        ["memory", "list", "k"],
        ["memory", "set", "novalue"],
        ["memory", "get", "k", "--step", "s"],
        ["memory", "get", "k", "--thread", "t", "--interaction", "i"],
        ["references", "fetch", "x"],
        ["references", "get"],
        ["references", "get", "ffff"],
        ["references", "put", "/nowhere/at/all"],
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    known: Any, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(words) == 2
    assert capsys.readouterr().err.startswith("orchestral: ")
    assert not [name for name, _ in known.asked if name.endswith((".set", ".put", ".delete"))]


def test_references_are_listed_and_found_by_the_start_of_their_digest(
    known: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert dispatch(["references", "--type", "image"]) == 0
    said = capsys.readouterr().out
    assert "Older ones: orchestral references --cursor 7" in said
    assert "\x1b" not in said
    (_, line) = listing([STORED], NOW, 100)
    assert [line.split()[0], line.split("just now")[1].strip()[:8]] == ["sha256:3f2a3f2a3f2a", "for ever"]
    target = tmp_path / "out"
    assert dispatch(["references", "get", "3f2a", "--output", str(target)]) == 0
    assert target.read_bytes() == b"\x00\xff"
    assert asked(known, "reference.get") == [{"digest": DIGEST}]


def test_a_file_is_put_with_its_name_and_type(known: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert dispatch(["references", "put", str(tmp_path / "a.png"), "--metadata", "place=Berlin", "--keep"]) == 0
    assert capsys.readouterr().out == f"{DIGEST}\n"
    assert asked(known, "reference.put") == [
        {
            "base64": base64.b64encode(b"\x89PNG").decode(),
            "name": "a.png",
            "media_type": "image/png",
            "metadata": {"place": "Berlin"},
            "keep": True,
        }
    ]


def test_an_output_whose_time_is_over_is_said_to_be_gone(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    step = {"step_id": "a", "kind": "action", "action": "echo", "state": "succeeded", "depends_on": []}
    stored = {"digest": DIGEST, "size": 2048}
    for extra, says in (({}, f"in {DIGEST}"), ({"pruned": True}, "deleted since")):
        snapshot = {"interaction_id": "int_abc", "state": "completed", "steps": [step | {"stored": stored | extra}]}
        known.answers["interaction.get"] = {"intent": "x", "created_at": NOW, "updated_at": NOW, **snapshot}
        assert dispatch(["show", "int_abc", "--outputs"]) == 0
        assert says in capsys.readouterr().out


def test_programs_get_what_the_daemon_said(known: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["memory", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"keys": [KEY]}
    assert dispatch(["references", "delete", DIGEST, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"digest": DIGEST, "rows": 1}
