"""What is a one-shot plugin told, and what does its answer mean? The protocol `orchestral.external_action.v1`.

Rules of this file:

- The first six fields of a request are the original's; what follows them are additions that old plugins ignore.
- Stricter than the original where it took a mistake for success: an answer that fits no shape, or more than one, is
  `invalid_response`.
- A program that fails (exit status, signal) has never succeeded, whatever it printed.
"""

import signal
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from orchestrald.core.model import Failure, Question
from orchestrald.protocol import strict_json
from orchestrald.protocol.foreign_text import plain, tail
from orchestrald.protocol.reply import Malformed, meaning

PROTOCOL = "orchestral.external_action.v1"
MAX_NOISE_LINES = 200

_BY_STATUS = {64: "bad_input", 65: "bad_input", 69: "unavailable", 77: "denied", 78: "misconfigured"}
EX_TEMPFAIL = 75


class Exit(NamedTuple):
    """How a program ended.

    `status` is the exit status, or minus the number of the signal that killed it (as `subprocess` has it). `stderr`
    is the end of what it wrote there. `timed_out` means that the deadline passed and we ended it; `retry_timeout`
    that such an attempt may be repeated (the action is idempotent). `too_large` names the stream that went past its
    limit. `oom` means that the kernel ended it for its memory.
    """

    status: int
    stderr: bytes = b""
    timed_out: bool = False
    retry_timeout: bool = False
    too_large: Literal["", "stdout", "stderr", "result"] = ""
    oom: bool = False


class Reply(NamedTuple):
    """What an attempt came to: exports, a failure, or a question.

    `source` says where the answer was found. `noise` holds the other lines of stdout, fit for a log; with `last_line`
    they stood where only the answer should, and the plugin deserves a warning.
    """

    value: dict[str, Any] | Failure | Question
    source: Literal["result_file", "stdout", "last_line", "none"]
    noise: tuple[str, ...] = ()


def request(
    *,
    action: str,
    plugin: str,
    version: str,
    params: Mapping[str, Any],
    interaction_id: str,
    step_id: str,
    execution_id: str,
    attempt: int,
    idempotency_key: str,
    entrypoint: str | None = None,
    deadline_ms: int | None = None,
    dry_run: bool = False,
    workspace: str = "",
    scratch: str = "",
    secrets_dir: str = "",
    locale: str = "",
    traceparent: str = "",
    answers: Any = None,
    approval: Any = None,
    state: str | None = None,
) -> bytes:
    """The one line that a plugin finds on stdin. `action` is without the plugin's name; empty strings become null."""
    named: dict[str, Any] = {"name": action, "entrypoint": entrypoint, "plugin": plugin, "version": version}
    if entrypoint is None:
        del named["entrypoint"]  # the original leaves it out too
    context = {
        "task_id": interaction_id,
        "step_id": step_id,
        "execution_id": execution_id,
        "attempt": attempt,
        "idempotency_key": idempotency_key,
        "deadline_ms": deadline_ms,
        "dry_run": dry_run,
        "workspace": workspace or None,
        "scratch": scratch or None,
        "secrets_dir": secrets_dir or None,
        "locale": locale or None,
        "traceparent": traceparent or None,
        "answers": answers,
        "approval": approval,
        "state": state,
    }
    message = {"protocol": PROTOCOL, "action": named, "input": {"params": params}, "context": context}
    return strict_json.dumps(message) + b"\n"


def environment(
    *, action: str, execution_id: str, idempotency_key: str, result: str, scratch: str = "", workspace: str = ""
) -> dict[str, str]:
    """The variables that every plugin finds, for those that would rather not parse JSON.

    `ORCHESTRAL=1` tells a program that it runs as a plugin. Paths are as the plugin sees them; an empty one is left
    out.
    """
    env = {
        "ORCHESTRAL": "1",
        "ORCHESTRAL_ACTION": action,
        "ORCHESTRAL_EXECUTION_ID": execution_id,
        "ORCHESTRAL_IDEMPOTENCY_KEY": idempotency_key,
        "ORCHESTRAL_RESULT": result,
        "ORCHESTRAL_SCRATCH": scratch,
        "ORCHESTRAL_WORKSPACE": workspace,
    }
    return {name: value for name, value in env.items() if value}


def read_reply(stdout: bytes, result_file: bytes | None, ended: Exit, *, strict_stdout: bool = False) -> Reply:
    """What the attempt came to. Never raises.

    `result_file` missing or blank means that the plugin did not write it. An answer there counts even if it is
    wrong: a plugin that writes the file has said where to look.
    """
    if ended.too_large:
        return Reply(_too_large(ended), "none", _lines(stdout))
    if ended.timed_out:
        return Reply(_timeout(ended), "none", _lines(stdout))
    source, data, noise = _find(stdout, result_file, strict_stdout)
    value: dict[str, Any] | Failure | Question
    try:
        value = meaning(strict_json.loads(data))
    except (strict_json.NotStrictJson, Malformed) as e:
        if ended.status != 0:
            return Reply(_by_exit(stdout, ended), "none", noise or _lines(stdout))
        return Reply(_invalid(str(e), source, stdout, ended), source, noise)
    if ended.status != 0 and isinstance(value, dict):
        return Reply(_by_exit(b"", ended, claimed="though its answer says success, "), source, noise)
    return Reply(value, source, noise)


def _find(
    stdout: bytes, result_file: bytes | None, strict_stdout: bool
) -> tuple[Literal["result_file", "stdout", "last_line"], bytes, tuple[str, ...]]:
    if result_file is not None and result_file.strip():
        return "result_file", result_file, _lines(stdout)
    if strict_stdout:
        return "stdout", stdout, ()
    whole = stdout.strip()
    before, newline, last = whole.rpartition(b"\n")
    if newline and _is_answer(last) and not _is_json(whole):
        return "last_line", last, _lines(before)
    return "stdout", stdout, ()


def _is_answer(line: bytes) -> bool:
    # `message` and `question` are words that a logger prints too; only these two mark a line as meant for us.
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        value = strict_json.loads(line)
    except strict_json.NotStrictJson:
        return False
    return isinstance(value, dict) and ("type" in value or "exports" in value)


def _is_json(data: bytes) -> bool:
    try:
        strict_json.loads(data)
    except strict_json.NotStrictJson:
        return False
    return True


def _lines(stdout: bytes) -> tuple[str, ...]:
    lines = stdout.splitlines()[:MAX_NOISE_LINES] if stdout.strip() else []
    return tuple(plain(line[: 4 * 2_000].decode("utf-8", "replace")) for line in lines if line.strip())


def _by_exit(stdout: bytes, ended: Exit, claimed: str = "") -> Failure:
    said = tail(ended.stderr) or tail(stdout)
    if ended.status < 0:
        name = signal_name(-ended.status)
        why = "it was killed for using too much memory" if ended.oom else f"{claimed}it was killed by {name}"
        return Failure(f"killed:{name}", _sentence(why, said), details={"signal": name, "oom": ended.oom})
    details = {"exit_status": ended.status}
    message = said or f"{claimed}it exited with status {ended.status}" + ("" if claimed else " and said nothing")
    if ended.status == EX_TEMPFAIL:
        return Failure("retryable_error", message, retryable=True, details=details)
    return Failure(_BY_STATUS.get(ended.status, "exit_status"), message, details=details)


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; a number that has no name here keeps its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _timeout(ended: Exit) -> Failure:
    return Failure("timeout", _sentence("its time was up", tail(ended.stderr)), retryable=ended.retry_timeout)


def _too_large(ended: Exit) -> Failure:
    where = {"stdout": "stdout", "stderr": "stderr", "result": "$ORCHESTRAL_RESULT"}[ended.too_large]
    hint = 'write large results to a file under context.scratch and return {"$artifact": "name"}'
    return Failure("output_too_large", f"it wrote more to {where} than its limit; {hint}")


def _invalid(why: str, source: str, stdout: bytes, ended: Exit) -> Failure:
    where = "$ORCHESTRAL_RESULT" if source == "result_file" else "stdout"
    details = {"stdout": tail(stdout), "stderr": tail(ended.stderr)}
    return Failure(
        "invalid_response",
        plain(f"its answer on {where} cannot be used: {why}"),
        details={name: text for name, text in details.items() if text},
    )


def _sentence(why: str, said: str) -> str:
    return f"{why}; the last it said: {said}" if said else why


class Artifact(NamedTuple):
    """A file that a plugin returns in place of a value.

    `path` is relative to the attempt's scratch folder and free of `..`; whether it is a regular file inside, only the
    disk can tell. `holder` is the object in the output itself: put the stored reference in its place, in place.
    """

    where: str
    path: str
    media_type: str
    holder: dict[str, Any]


def artifacts(output: dict[str, Any]) -> Iterator[Artifact]:
    """Every `{"$artifact": ...}` in an output, in order. Raises Malformed at one that is not well-formed."""
    # Collected first: who fills the holders in while walking must not be walked into.
    pending: list[tuple[str, Any]] = [("exports", output)]
    found = []
    while pending:
        where, value = pending.pop()
        if isinstance(value, dict):
            if "$artifact" in value:
                found.append(_artifact(where, value))
                continue
            pending.extend((f"{where}.{key}", inner) for key, inner in reversed(value.items()))
        elif isinstance(value, list):
            pending.extend((f"{where}[{i}]", value[i]) for i in reversed(range(len(value))))
    return iter(found)


def _artifact(where: str, value: dict[str, Any]) -> Artifact:
    path, media_type = value["$artifact"], value.get("media_type", "application/octet-stream")
    if not isinstance(path, str) or not isinstance(media_type, str):
        raise Malformed(f"at {plain(where, 200)}: $artifact and media_type must be strings")
    if strange := value.keys() - {"$artifact", "media_type"}:
        raise Malformed(f"at {plain(where, 200)}: {plain(min(strange), 100)!r} does not belong beside $artifact")
    if not path or path.startswith("/") or "\0" in path or ".." in path.split("/") or len(path) > 4096:
        raise Malformed(f"at {plain(where, 200)}: {plain(path, 200)!r} is not a path inside the scratch folder")
    return Artifact(where, path, media_type, value)
