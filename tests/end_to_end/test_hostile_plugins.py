"""Does every end of a plugin become one clear outcome, with the daemon none the worse?

All cases are steps of one plan, so they also happen at the same time.
"""

import base64
import json
import signal
from typing import Any

import pytest

from support.daemon import Daemon

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

Case = tuple[dict[str, Any], str]
"""What the plugin does, and what becomes of it: `succeeded`, or the code of the failure."""


def says(stdout: bytes | str, **rest: Any) -> dict[str, Any]:
    raw = stdout.encode() if isinstance(stdout, str) else stdout
    return {"stdout": base64.b64encode(raw).decode(), **rest}


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


SUCCESS = '{"type":"success","exports":{"n":1}}'
ERROR = '{"type":"error","message":"not a PDF","code":"bad_pdf","details":{"page":1}}'

SHAPES: dict[str, Case] = {
    # section "Replies" of the protocol
    "success": (says(SUCCESS), "succeeded"),
    "success without exports": (says('{"type":"success"}'), "succeeded"),
    "error": (says(ERROR), "bad_pdf"),
    "retryable error": (
        says('{"type":"retryable_error","message":"429","retry_after":10,"attempt":1}'),
        "retryable_error",
    ),
    "untagged exports": (says('{"exports":{}}'), "succeeded"),
    "untagged message": (says('{"message":"boom"}'), "action_failed"),
    "untagged message with a pause": (says('{"message":"boom","retry_after_ms":5}'), "retryable_error"),
    "two keys that decide": (says('{"exports":{},"message":"boom"}'), "invalid_response"),
    "an unknown type": (says('{"type":"sucess","exports":{}}'), "invalid_response"),
    "a type that is no word": (says('{"type":1}'), "invalid_response"),
    "an empty object": (says("{}"), "invalid_response"),
    "an array": (says("[]"), "invalid_response"),
    "a string": (says('"done"'), "invalid_response"),
    "null": (says("null"), "invalid_response"),
    "exports that are no object": (says('{"exports":[1]}'), "invalid_response"),
    "an error without words": (says('{"type":"error"}'), "invalid_response"),
    "a pause that is negative": (says('{"type":"retryable_error","message":"x","retry_after":-1}'), "invalid_response"),
    "a question without words": (says('{"question":""}'), "invalid_response"),
    "an approval without a reason": (says('{"type":"need_approval","request":{}}'), "invalid_response"),
    # where the reply is read
    "noise, then the reply": (says(f"loading\nmodel\n{SUCCESS}\n"), "succeeded"),
    "the reply, then noise": (says(f"{SUCCESS}\nbye\n"), "invalid_response"),
    "noise, then an untagged error": (says('log\n{"message":"a log line"}'), "invalid_response"),
    "the result file wins": (says("garbage", result=b64(SUCCESS)), "succeeded"),
    "a broken result file is not forgiven": (says(SUCCESS, result=b64("{")), "invalid_response"),
    "an artifact outside": (says('{"exports":{"f":{"$artifact":"../../etc/passwd"}}}'), "invalid_response"),
    "an artifact that is not there": (says('{"exports":{"f":{"$artifact":"x"}}}'), "invalid_response"),
    # the table of exit statuses
    "0 and no reply": (says(""), "invalid_response"),
    "75 and no reply": (says("", status=75), "retryable_error"),
    "75 and an error": (says(ERROR, status=75), "bad_pdf"),
    "75 and success": (says(SUCCESS, status=75), "retryable_error"),
    "64": (says("", status=64), "bad_input"),
    "65": (says("", status=65), "bad_input"),
    "69": (says("", status=69), "unavailable"),
    "77": (says("", status=77), "denied"),
    "78": (says("", status=78), "misconfigured"),
    "1": (says("", status=1, stderr=b64("it went wrong")), "exit_status"),
    "1 and an error": (says(ERROR, status=1), "bad_pdf"),
    "1 and success": (says(SUCCESS, status=1), "exit_status"),
    "SIGSEGV": (says("", signal=int(signal.SIGSEGV)), "killed:SIGSEGV"),
    "SIGKILL after success": (says(SUCCESS, signal=int(signal.SIGKILL)), "killed:SIGKILL"),
    # more than it may say
    "too much stdout": (says("x" * 1000, times=100), "output_too_large"),
    "too much stderr": (says(SUCCESS, stderr=b64("y" * 100_000)), "output_too_large"),
    "a result file that is too long": (says("", result=b64(" " * 100_000 + SUCCESS)), "output_too_large"),
}

HOSTILE: dict[str, Case] = {
    name: (says(raw), "invalid_response")
    for name, raw in {
        "deep arrays": b'{"exports":{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
        "deep objects": b'{"exports":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
        "depth that never ends": b"[" * 60_000,
        "a huge exponent": b'{"exports":{"x":1e999}}',
        "a huge integer": b'{"exports":{"x":' + b"9" * 10_000 + b"}}",
        "an integer past 2**53": b'{"exports":{"x":1180591620717411303424}}',
        "NaN": b'{"exports":{"x":NaN}}',
        "Infinity": b'{"exports":{"x":-Infinity}}',
        "duplicate keys": b'{"exports":{"x":1},"exports":{"x":2}}',
        "a duplicate type": b'{"type":"error","message":"x","type":"success"}',
        "a lone surrogate": b'{"exports":{"x":"\\ud800"}}',
        "a lone surrogate as a key": b'{"exports":{"\\udfff":1}}',
        "surrogates in UTF-8": b'{"exports":{"x":"\xed\xa0\x80"}}',
        "a byte order mark": b"\xef\xbb\xbf" + SUCCESS.encode(),
        "UTF-16": SUCCESS.encode("utf-16"),
        "UTF-16 without a mark": SUCCESS.encode("utf-16-le"),
        "UTF-32": SUCCESS.encode("utf-32"),
        "Latin-1": '{"exports":{"x":"ü"}}'.encode("latin-1"),
        "truncation": SUCCESS.encode()[:-1],
        "truncation in a string": b'{"exports":{"x":"abc',
        "truncation in an escape": b'{"exports":{"x":"\\u12',
        "a trailing comma": b'{"exports":{"x":1,}}',
        "single quotes": b"{'exports':{}}",
        "a comment": b'{"exports":{}} // fine',
        "two values": b'{"exports":{}} {"exports":{}}',
        "a raw line break in a string": b'{"exports":{"x":"a\nb"}}',
        "a NUL": b'{"exports":{"x":"a\x00b"}}',
        "NULs": b"\x00" * 1000,
        "random bytes": bytes(range(256)) * 20,
        "a leading zero": b'{"exports":{"x":01}}',
        "hexadecimal": b'{"exports":{"x":0x10}}',
        "a bare minus": b'{"exports":{"x":-}}',
        "a million brackets in pairs": b'{"exports":{"x":[' + b"[]," * 15_000 + b"1]}}",
    }.items()
}
HOSTILE["a million brackets in pairs"] = (HOSTILE["a million brackets in pairs"][0], "succeeded")


def outcome_of(step: dict[str, Any]) -> str:
    return "succeeded" if step["state"] == "succeeded" else step.get("error", {}).get("code", step["state"])


def run_all(place: Daemon, cases: dict[str, Case]) -> list[dict[str, Any]]:
    steps = [{"id": f"s{i}", "action": "hostile.act", "params": params} for i, (params, _) in enumerate(cases.values())]
    shown = place.run(*steps)
    assert shown["state"] == "failed"
    assert shown["answer"]
    return list(shown["steps"])


@pytest.mark.parametrize("cases", [SHAPES, HOSTILE], ids=["every shape and status", "hostile JSON"])
def test_every_end_of_a_plugin_is_one_clear_outcome(place: Daemon, cases: dict[str, Case]):
    steps = run_all(place, cases)
    seen = {name: outcome_of(step) for name, step in zip(cases, steps, strict=True)}
    assert seen == {name: expected for name, (_, expected) in cases.items()}
    for step in steps:
        assert step["state"] == "succeeded" or step["error"]["message"].strip(), step


def test_what_a_plugin_printed_reaches_a_terminal_only_as_text(place: Daemon):
    """Escape sequences in an error message must not paint, beep or type on the reader's terminal."""
    evil = json.dumps({"type": "error", "message": "\x1b]0;owned\x07\x1b[2Jboo\u202eend"})
    shown = place.run({"id": "a", "action": "hostile.act", "params": says(evil)})
    text = json.dumps(shown, ensure_ascii=False)
    assert "boo" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(json.loads(text)["answer"])
    printed = place.orchestral("show", shown["interaction_id"]).stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)


def test_a_plugin_that_hangs_is_ended_at_its_deadline(place: Daemon):
    step = {"id": "a", "action": "hostile.act", "params": says(SUCCESS, hang_s=60), "timeout": "300ms"}
    shown = place.run(step)
    assert shown["steps"][0]["error"]["code"] == "timeout"


def test_a_plugin_that_asks_is_run_again_with_the_answer(place: Daemon):
    question = '{"type":"need_clarification","question":"Which year?","schema":{"type":"integer"},"state":"s"}'
    shown = place.run({"id": "a", "action": "hostile.act", "params": says(question, again=b64(SUCCESS))})
    assert (shown["state"], shown["steps"][0]["question"]["prompt"]) == ("waiting", "Which year?")
    interaction_id = shown["interaction_id"]
    with pytest.raises(Exception, match="does not fit"):
        place.call("interaction.respond", interaction_id=interaction_id, payload="soon")
    place.call("interaction.respond", interaction_id=interaction_id, payload=1999)
    assert place.end_of(interaction_id)["steps"][0]["output"] == {"n": 1}


def test_a_plugin_that_wants_a_yes_gets_it_from_a_person_who_names_what_they_saw(place: Daemon):
    wish = '{"type":"need_approval","request":{"reason":"3 files","command":"rm a"},"preview":{"files":["a"]}}'
    interaction_id = place.submit({"id": "a", "action": "hostile.act", "params": says(wish, again=b64(SUCCESS))})
    assert place.end_of(interaction_id)["state"] == "waiting"
    (asked,) = [a for a in place.call("approval.list")["approvals"] if a["interaction_id"] == interaction_id]
    assert (asked["reason"], asked["command"]) == ("3 files", "rm a")
    this = {"interaction_id": interaction_id, "step_id": "a", "decision": "approve"}
    with pytest.raises(Exception, match="digest"):
        place.call("approval.decide", **this, digest="sha256:another")
    place.call("approval.decide", **this, digest=asked["digest"])
    assert place.end_of(interaction_id)["state"] == "completed"


def test_a_question_whose_schema_is_a_trap_is_refused(place: Daemon):
    traps = [
        {"$ref": "http://example.com/schema.json"},
        {"type": "no such type"},
        {"pattern": "("},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    ]
    steps = [
        {"id": f"t{i}", "action": "hostile.act", "params": says(json.dumps({"question": "?", "schema": trap}))}
        for i, trap in enumerate(traps)
    ]
    interaction_id = place.submit(*steps)
    shown = place.end_of(interaction_id)
    for step in shown["steps"]:
        if step["state"] == "waiting":  # it was taken; then an answer must get a reply, and not hang or kill
            with pytest.raises(Exception, match=r".+"):
                place.call("interaction.respond", interaction_id=interaction_id, step_id=step["step_id"], payload=1)
        else:
            assert step["error"]["code"] == "invalid_response"
    assert place.call("system.ping") == {}
