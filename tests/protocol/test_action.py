"""Is a plugin told what the protocol promises, and what does the end of its program mean?"""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.model import Failure, Question
from orchestrald.protocol.action import Exit, Reply, artifacts, environment, read_reply, request, signal_name
from orchestrald.protocol.reply import Malformed

SUCCESS = b'{"type":"success","exports":{"n":1}}'
ERROR = b'{"type":"error","message":"no","code":"mine"}'
ASKS = b'{"type":"need_clarification","question":"Which?"}'
RETRY = b'{"type":"retryable_error","message":"later"}'


def failure(reply: Reply) -> Failure:
    assert isinstance(reply.value, Failure), reply
    return reply.value


# --- request ---------------------------------------------------------------------------------------------------------


def test_a_request_has_exactly_the_promised_shape() -> None:
    line = request(
        action="extract",
        plugin="invoices",
        version="1.4.0",
        params={"path": "a.pdf"},
        interaction_id="int_1",
        step_id="s2",
        execution_id="exec_1",
        attempt=1,
        idempotency_key="int_1/s2/1",
        deadline_ms=1795362580000,
        workspace="/home/u/p",
        scratch="/scratch",
    )
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "protocol": "orchestral.external_action.v1",
        "action": {"name": "extract", "plugin": "invoices", "version": "1.4.0"},
        "input": {"params": {"path": "a.pdf"}},
        "context": {
            "task_id": "int_1",
            "step_id": "s2",
            "execution_id": "exec_1",
            "attempt": 1,
            "idempotency_key": "int_1/s2/1",
            "deadline_ms": 1795362580000,
            "dry_run": False,
            "workspace": "/home/u/p",
            "scratch": "/scratch",
            "secrets_dir": None,
            "locale": None,
            "traceparent": None,
            "answers": None,
            "approval": None,
            "state": None,
        },
    }


def test_an_entrypoint_is_sent_only_if_there_is_one_and_state_comes_back_as_it_was() -> None:
    line = request(
        action="a", plugin="p", version="1", params={}, interaction_id="i", step_id="s", execution_id="e", attempt=2,
        idempotency_key="k", entrypoint="main:run", answers={"year": 2024}, state="\u0000 \n",
    )  # fmt: skip
    message = json.loads(line)
    assert message["action"]["entrypoint"] == "main:run"
    assert message["context"]["state"] == "\u0000 \n"
    assert message["context"]["answers"] == {"year": 2024}


def test_the_environment_says_the_same_to_a_shell() -> None:
    assert environment(action="a", execution_id="e", idempotency_key="k", result="/r", scratch="/s") == {
        "ORCHESTRAL": "1",
        "ORCHESTRAL_ACTION": "a",
        "ORCHESTRAL_EXECUTION_ID": "e",
        "ORCHESTRAL_IDEMPOTENCY_KEY": "k",
        "ORCHESTRAL_RESULT": "/r",
        "ORCHESTRAL_SCRATCH": "/s",
    }


# --- where the answer is -------------------------------------------------------------------------------------------


def test_the_result_file_comes_first_and_stdout_is_then_a_log() -> None:
    reply = read_reply(b"noise\n" + ERROR, SUCCESS, Exit(0))
    assert reply == Reply({"n": 1}, "result_file", ("noise", ERROR.decode()))


@pytest.mark.parametrize("blank", [None, b"", b" \n"])
def test_a_result_file_that_was_not_written_leaves_stdout(blank: bytes | None) -> None:
    assert read_reply(SUCCESS, blank, Exit(0)) == Reply({"n": 1}, "stdout")


def test_a_wrong_result_file_is_not_made_good_by_stdout() -> None:
    reply = read_reply(SUCCESS, b"{oops", Exit(0))
    assert failure(reply).code == "invalid_response"
    assert "$ORCHESTRAL_RESULT" in failure(reply).message


def test_the_whole_of_stdout_may_be_one_value_over_many_lines() -> None:
    assert read_reply(b'\n{\n "exports":\n {"n": 1}\n}\n\n', None, Exit(0)).value == {"n": 1}


@pytest.mark.parametrize("last", [SUCCESS, b'{"exports":{"n":1}}'])
def test_the_last_line_is_the_answer_after_a_talkative_tool(last: bytes) -> None:
    reply = read_reply(b"Loading\x1b[1m...\n\n100%\n" + last + b"\n\n", None, Exit(0))
    assert reply == Reply({"n": 1}, "last_line", ("Loading\\x1b[1m...", "100%"))


@pytest.mark.parametrize("last", [b'{"message":"m"}', b'{"question":"q"}', b'["type"]', b'"exports"', b"{}"])
def test_a_last_line_without_type_or_exports_is_no_answer(last: bytes) -> None:
    assert failure(read_reply(b"log\n" + last, None, Exit(0))).code == "invalid_response"


def test_only_the_last_line_counts() -> None:
    assert failure(read_reply(SUCCESS + b"\nbye\n", None, Exit(0))).code == "invalid_response"


def test_strict_stdout_allows_no_other_lines() -> None:
    assert failure(read_reply(b"log\n" + SUCCESS, None, Exit(0), strict_stdout=True)).code == "invalid_response"
    assert read_reply(b"\n" + SUCCESS, None, Exit(0), strict_stdout=True).value == {"n": 1}


@pytest.mark.parametrize(
    "stdout",
    [
        b"",
        b"\n",
        b"hello",
        b"{}",
        b"[]",
        b"null",
        SUCCESS + SUCCESS,
        SUCCESS[:-1],
        b"\xef\xbb\xbf" + SUCCESS,
        SUCCESS.decode().encode("utf-16"),
        b'{"type":"success","exports":{"n":NaN}}',
        b'{"type":"success","exports":{"n":1e999}}',
        b'{"type":"success","exports":{"n":99999999999999999999}}',
        b'{"type":"success","exports":{"n":1,"n":2}}',
        b'{"type":"error","type":"success"}',
        b'{"type":"success","exports":{"n":"\\ud800"}}',
        b'{"type":"success","exports":{"n":"\xff"}}',
        b'{"type":"success","exports":{"n":' + b"[" * 100 + b"]" * 100 + b"}}",
        b'{"type":"success","exports":{"n":[' + b"{}," * 300_000 + b"{}]}}",
        b"[" * 3_000_000,
    ],
    ids=lambda v: repr(v[:40]),
)
def test_hostile_stdout_is_an_invalid_response_whatever_it_is(stdout: bytes) -> None:
    reply = read_reply(stdout, None, Exit(0, b"what \x1b happened"))
    assert failure(reply).code == "invalid_response"
    assert not failure(reply).retryable
    assert len(failure(reply).message) < 2_200
    assert failure(reply).details is not None
    assert failure(reply).details["stderr"] == "what \\x1b happened"  # type: ignore[index]
    assert len(failure(reply).details.get("stdout", "")) < 2_100  # type: ignore[union-attr]


@given(st.binary(max_size=80), st.none() | st.binary(max_size=20), st.integers(-70, 255), st.booleans())
def test_nothing_that_a_program_prints_raises(stdout: bytes, result: bytes | None, status: int, strict: bool) -> None:
    reply = read_reply(stdout, result, Exit(status, stdout), strict_stdout=strict)
    if status != 0:
        assert not isinstance(reply.value, dict)


# --- how the program ended -----------------------------------------------------------------------------------------

NO_ANSWER = [
    (64, "bad_input", False),
    (65, "bad_input", False),
    (69, "unavailable", False),
    (75, "retryable_error", True),
    (77, "denied", False),
    (78, "misconfigured", False),
    (1, "exit_status", False),
    (255, "exit_status", False),
    (-signal.SIGKILL, "killed:SIGKILL", False),
    (-signal.SIGSEGV, "killed:SIGSEGV", False),
    (-200, "killed:SIG200", False),
]


@pytest.mark.parametrize(("status", "code", "retryable"), NO_ANSWER)
@pytest.mark.parametrize("stdout", [b"", b"Traceback", b"{}", SUCCESS, b"log\n" + SUCCESS])
def test_a_program_that_fails_without_an_answer_has_failed_by_its_status(
    status: int, code: str, retryable: bool, stdout: bytes
) -> None:
    found = failure(read_reply(stdout, None, Exit(status, b"no such page\n")))
    assert (found.code, found.retryable) == (code, retryable)
    assert "no such page" in found.message


@pytest.mark.parametrize("status", [0, *(row[0] for row in NO_ANSWER)])
def test_an_answer_that_claims_no_success_is_used_whatever_the_status(status: int) -> None:
    assert read_reply(ERROR, None, Exit(status)).value == Failure("mine", "no")
    assert read_reply(ASKS, None, Exit(status)).value == Question("clarification", "Which?")
    assert read_reply(RETRY, None, Exit(status)).value == Failure("retryable_error", "later", retryable=True)
    assert read_reply(b"", ERROR, Exit(status)).value == Failure("mine", "no")


def test_success_in_the_result_file_does_not_survive_a_failed_exit() -> None:
    assert failure(read_reply(b"", SUCCESS, Exit(75))).retryable
    assert failure(read_reply(b"", SUCCESS, Exit(3))).code == "exit_status"


@pytest.mark.parametrize("idempotent", [True, False])
def test_past_its_deadline_no_answer_counts(idempotent: bool) -> None:
    found = failure(read_reply(SUCCESS, SUCCESS, Exit(-15, b"at page 3", timed_out=True, retry_timeout=idempotent)))
    assert (found.code, found.retryable) == ("timeout", idempotent)
    assert "at page 3" in found.message


@pytest.mark.parametrize(
    ("stream", "named"), [("stdout", "stdout"), ("stderr", "stderr"), ("result", "$ORCHESTRAL_RESULT")]
)
def test_too_much_output_is_said_with_the_stream_and_what_to_do(stream: Any, named: str) -> None:
    found = failure(read_reply(SUCCESS, None, Exit(-9, too_large=stream)))
    assert found.code == "output_too_large"
    assert named in found.message
    assert "$artifact" in found.message


def test_a_program_killed_for_its_memory_says_so() -> None:
    found = failure(read_reply(b"", None, Exit(-9, oom=True)))
    assert found == Failure(
        "killed:SIGKILL", "it was killed for using too much memory", details={"signal": "SIGKILL", "oom": True}
    )


def test_a_silent_failure_still_has_a_message() -> None:
    assert failure(read_reply(b"", None, Exit(3))).message == "it exited with status 3 and said nothing"
    assert failure(read_reply(b"on stdout", None, Exit(3))).message == "on stdout"


def test_the_end_of_a_long_stderr_is_what_is_told() -> None:
    message = failure(read_reply(b"", None, Exit(1, b"x" * 9_000 + b"\nKeyError: 'a'\x1b[0m"))).message
    assert message.endswith("KeyError: 'a'\\x1b[0m")
    assert len(message) < 2_100


def test_noise_is_bounded() -> None:
    reply = read_reply(b"y" * 9_000 + b"\n" + b"x\n" * 10_000 + SUCCESS, None, Exit(0))
    assert len(reply.noise) == 200
    assert len(reply.noise[0]) < 2_100


def test_signals_have_names() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(250) == "SIG250"


# --- artifacts -----------------------------------------------------------------------------------------------------


def test_artifacts_are_found_wherever_they_are_and_can_be_replaced_in_place() -> None:
    output: dict[str, Any] = {
        "report": {"$artifact": "out/report.md", "media_type": "text/markdown"},
        "pages": [{"n": 1}, {"image": {"$artifact": "p1.png"}}],
    }
    found = list(artifacts(output))
    assert [(a.where, a.path, a.media_type) for a in found] == [
        ("exports.report", "out/report.md", "text/markdown"),
        ("exports.pages[1].image", "p1.png", "application/octet-stream"),
    ]
    found[0].holder.clear()
    assert output["report"] == {}


@pytest.mark.parametrize(
    "value",
    [
        {"$artifact": 3},
        {"$artifact": ""},
        {"$artifact": "/etc/passwd"},
        {"$artifact": "a/../../b"},
        {"$artifact": ".."},
        {"$artifact": "a\u0000b"},
        {"$artifact": "x" * 5_000},
        {"$artifact": "a", "media_type": 1},
        {"$artifact": "a", "digest": "sha256:forged"},
    ],
)
def test_an_artifact_outside_the_scratch_folder_is_refused_with_its_place(value: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=r"at exports[.]a"):
        artifacts({"a": [value]})


def test_a_silent_failure_that_claims_success_is_called_out() -> None:
    message = failure(read_reply(SUCCESS, None, Exit(3))).message
    assert message == "though its answer says success, it exited with status 3"


# --- the page ------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "PROTOCOL.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def test_every_answer_on_the_page_is_one() -> None:
    lines = [line for line in section("6. The answer").splitlines() if line.startswith("{")]
    assert len(lines) == 9
    for line in lines:
        assert "invalid_response" not in str(read_reply(line.encode(), None, Exit(0)).value)


def test_the_request_on_the_page_has_the_members_that_are_sent() -> None:
    shown = json.loads(section("5. The request").split("```json\n")[1].split("```")[0])
    sent = json.loads(
        request(
            action="a", plugin="p", version="1", params={}, interaction_id="i", step_id="s", execution_id="e",
            attempt=1, idempotency_key="k",
        )
    )  # fmt: skip
    assert {name: shown[name].keys() for name in ("action", "context")} == {
        name: sent[name].keys() for name in ("action", "context")
    }


@pytest.mark.parametrize(("status", "code", "retryable"), NO_ANSWER[:6])
def test_the_exit_table_on_the_page_is_ours(status: int, code: str, retryable: bool) -> None:
    (row,) = re.findall(rf"^\| [^|]*\b{status}\b[^|]*\|.*$", section("7. The exit status"), re.MULTILINE)
    assert f"`{code}`" in row


def test_every_variable_on_the_page_is_set() -> None:
    env = environment(action="a", execution_id="e", idempotency_key="k", result="r", scratch="s", workspace="w")
    assert set(re.findall(r"^\| `(ORCHESTRAL\w*)`", PAGE, re.MULTILINE)) == env.keys()
