"""Which rows are about the daemon itself: what a plugin says to it, and leaves for it to fall over?"""

import base64
from typing import Any

from escape.host_side import feed_pipes, harmed_outside, scratch_left, survivor
from escape.rows import Row

SHORT = {"timeout": "700ms"}
READ = {"action": "file_read", "params": {"path": "out"}}
BAD_ANSWERS = {
    "not a number": b'{"exports":{"x":NaN}}',
    "a number beyond all floats": b'{"exports":{"x":1e999}}',
    "a key twice": b'{"exports":{"x":1},"exports":{"x":2}}',
    "UTF-16": '{"exports":{}}'.encode("utf-16"),
    "half a character": b'{"exports":{"x":"\\ud800"}}',
    "an integer that others round": b'{"exports":{"x":1180591620717411303424}}',
}


def says(title: str, raw: bytes) -> Row:
    return Row(number="36", title=f"answer with {title}", attempt="say", args={"raw": base64.b64encode(raw).decode()},
               held=("invalid_response",), through=("succeeded", "invalid_output"),
               removed="strict-json")  # fmt: skip


def then(title: str, links: dict[str, str], step: dict[str, Any], **more: Any) -> Row:
    return Row(number="41", title=title, attempt="leave", grant="burglar-write", args={"links": links},
               step={"then": step}, held=("refused",), removed="nofollow", **more)  # fmt: skip


ROWS = [
    Row(number="30", title="ignore every polite signal", attempt="stay_alive", step=SHORT,
        args={"marker": "{marker}", "seconds": 3, "ignore": ["SIGTERM", "SIGINT", "SIGHUP"]}, held=("timeout",),
        seen=survivor, removed="kill die-with-parent"),
    Row(number="31", title="close its streams and go on", attempt="stay_alive", step=SHORT,
        args={"marker": "{marker}", "seconds": 1.6, "closed": [1, 2]}, held=("timeout",),
        through=("exit_status", "invalid_response"), removed="deadline"),
    Row(number="32", title="print one endless line", attempt="flood", args={"stream": 1, "kib": 512},
        held=("output_too_large",), through=("invalid_response",), removed="stdout-bound"),
    Row(number="32b", title="print lines without end", attempt="flood",
        args={"stream": 1, "kib": 512, "newline": True}, held=("output_too_large",), removed="stdout-bound"),
    Row(number="33", title="never come to the end of an answer", attempt="drip", args={"seconds": 1.6}, step=SHORT,
        held=("timeout",), removed="deadline"),
    Row(number="34", title="flood stderr", attempt="flood", args={"stream": 2, "kib": 2048},
        held=("output_too_large",), removed="stderr-bound"),
    *(says(title, raw) for title, raw in BAD_ANSWERS.items()),
    Row(number="36b", title="answer with brackets in brackets", attempt="nest", args={"depth": 100},
        held=("invalid_response",), removed="strict-json"),
    then("have a link read", {"out": "{outside}/secret"}, READ),
    then("have a link written to", {"out": "{outside}/secret"},
         {"action": "file_write", "params": {"path": "out", "content": "x", "append": True}}, seen=harmed_outside),
    then("have a file made through a linked folder", {"way": "{outside}"},
         {"action": "file_write", "params": {"path": "way/new", "content": "x"}}, seen=harmed_outside),
    Row(number="41b", title="answer with a link in the place of the result file", attempt="result_file",
        args={"link": "{outside}/secret"}, held=("invalid_response",), removed="nofollow"),
    Row(number="41c", title="hand over a link as an artifact", attempt="artifact",
        args={"name": "a", "link": "{outside}/secret"}, held=("invalid_response",), removed="nofollow"),
    Row(number="44", title="have the daemon read a pipe", attempt="leave", grant="burglar-write",
        args={"fifos": ["out"]}, step={"then": READ}, held=("refused",), meanwhile=feed_pipes,
        removed="regular-files"),
    Row(number="44b", title="answer with a pipe in the place of the result file", attempt="result_file",
        args={"fifo": True}, held=("invalid_response",), meanwhile=feed_pipes, removed="regular-files"),
    Row(number="44c", title="hand over a pipe as an artifact", attempt="artifact", args={"name": "a", "fifo": True},
        held=("invalid_response",), meanwhile=feed_pipes, removed="regular-files"),
    Row(number="+", title="have the daemon tidy up outside of the scratch folder", attempt="leave",
        args={"hostile_folder": "{outside}"}, seen=harmed_outside, removed="careful-removal"),
    Row(number="+", title="have the loader of the sandbox load something", attempt="variables_name_sockets",
        grant="burglar-loader", args={"names": ["LD_PRELOAD"]}, held=("cannot_run",), removed="loader"),
    Row(number="+", title="inherit the address of the agent", attempt="variables_name_sockets",
        grant="burglar-agent", args={"names": ["SSH_AUTH_SOCK"]}, held=("cannot_run",), removed="never-inherited"),
    Row(number="+", title="leave a folder that is deeper than any recursion", attempt="leave_deep",
        args={"levels": 3000}, seen=scratch_left, removed="deep-removal"),
    Row(number="+", title="hand over one file very often", attempt="artifacts", args={"count": 20, "size_mib": 16},
        held=("output_too_large",), removed="artifact-bounds"),
]  # fmt: skip
