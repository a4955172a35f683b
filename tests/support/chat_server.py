"""What does a server of the chat completions API say, right and wrong?

A real HTTP server in a thread, for our own tests, for a daemon in another process, and for benchmarks:

    with ChatServer([say({"steps": []}), status(429, retry_after=0.01), say("done")]) as server:
        Profile(backend="fake", model="fake", base_url=server.base_url)

- `script` is a list of answers, one for each question in order, or a function from the request's JSON to an answer.
  Without a script everything is answered with "ok"; a script that is over answers 500, and says so.
- An answer does not depend on how it is asked for: it is sent whole or as a stream, as text or as a tool call.
- The probe of `orchestrald.models` is not in the script. It is answered by what the server `supports`: a mode in it
  is obeyed, one in `ignores` is taken and not obeyed, any other is refused with the status that `refuses` names (400).
- `asked` holds every question, probes included, with its JSON and headers; `questions` and `probes` divide it.
"""

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from orchestrald.models.probe import PROBE

OBEYED = {"word": "okapi"}
"""What a server that enforces the probe's schema answers to it."""

LONGEST_HANG = 60.0
"""Seconds: a test that forgot its server must not keep a thread for ever."""


@dataclass(frozen=True)
class Say:
    """A completion. `text` None is a null content; `tokens` None: nothing is counted. `cut`: the stream, or the body,
    ends in the middle; `stalls`: it goes no further from there. `pause`: seconds before each piece of a stream, or
    before the whole. `extra` is put into the completion."""

    text: str | None
    tokens: tuple[int, int, int] | None = (10, 0, 5)
    finish: str = "stop"
    model: str = ""
    refusal: str | None = None
    cut: bool = False
    stalls: bool = False
    pause: float = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Send:
    """Any response, as it is. `missing` bytes are announced and never sent."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0


@dataclass(frozen=True)
class Hang:
    """Nothing comes until the event is set or the server closed; then the connection is closed."""

    until: threading.Event | None = None


@dataclass(frozen=True)
class Reset:
    """The connection is reset where an answer was expected."""


Answer = Say | Send | Hang | Reset
Script = Iterable[Answer] | Callable[[dict[str, Any]], Answer]


# --- answers ---------------------------------------------------------------------------------------------------------


def say(
    value: Any,
    tokens: tuple[int, int, int] | None = (10, 0, 5),
    finish: str = "stop",
    model: str = "",
    *,
    pause: float = 0,
    **extra: Any,
) -> Say:
    """A text, or a value as JSON. `tokens` are read, of these cached, and written."""
    text = value if isinstance(value, str) else json.dumps(value)
    return Say(text, tokens, finish, model, pause=pause, extra=extra)


def null_content() -> Say:
    return Say(None)


def no_usage(value: Any) -> Say:
    return say(value, tokens=None)


def truncated(text: str) -> Say:
    return say(text, finish="length")


def refusal(text: str) -> Say:
    return Say(None, refusal=text)


def cut(text: str) -> Say:
    """A stream, or a body, that ends in the middle of the text."""
    return Say(text, cut=True)


def stall(text: str) -> Say:
    """A stream, or a body, that goes no further than the middle of the text, until the server is closed."""
    return Say(text, cut=True, stalls=True)


def status(
    code: int,
    message: str = "Something went wrong.",
    *,
    error: str | None = None,
    param: str | None = None,
    retry_after: float | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Send:
    """An error as OpenAI shapes it; `error` is its `code`."""
    sent = dict(headers or {}) | ({} if retry_after is None else {"Retry-After": str(retry_after)})
    body = {"error": {"message": message, "type": "error", "param": param, "code": error}}
    return Send(code, json.dumps(body).encode(), headers=sent)


def sends(body: Any, code: int = 200) -> Send:
    """Any JSON."""
    return Send(code, json.dumps(body).encode())


def html(code: int = 200) -> Send:
    return Send(code, b"<!doctype html><html><body>Please log in to the proxy.</body></html>", "text/html")


def not_json() -> Send:
    return Send(200, b'{"choices": [{"message"')


# --- the server ------------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """One question as it came. `mode` is how a shape was demanded, in the words of `orchestrald.models.dialect`."""

    json: dict[str, Any]
    headers: dict[str, str]
    mode: str
    is_probe: bool


class ChatServer:
    """Serves from `with` to its end, at `base_url`. `key`: what Authorization must hold, if anything; a wrong one is
    echoed in the error, as OpenAI does. `listing`: what GET /v1/models answers instead of the `models`."""

    def __init__(
        self,
        script: Script = (),
        *,
        supports: Iterable[str] = ("json_schema", "json_object", "tool"),
        ignores: Iterable[str] = (),
        refuses: Mapping[str, int] | None = None,
        models: Iterable[str] = ("fake",),
        key: str = "",
    ) -> None:
        self.supports = set(supports)
        self.ignores = set(ignores)
        self.refuses = dict(refuses or {})
        self.models = list(models)
        self.listing: Send | None = None
        self.key = key
        self.asked: list[Asked] = []
        self.faults: list[BaseException] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self.answer_with(script)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "ChatServer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        if error is None and self.faults:
            raise self.faults[0]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def questions(self) -> list[Asked]:
        return [asked for asked in self.asked if not asked.is_probe]

    @property
    def probes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.is_probe]

    def answer_with(self, script: Script) -> None:
        """Replace the script."""
        self._answer = script if callable(script) else None
        self._left = [] if callable(script) else list(script)
        self._endless = not callable(script) and not self._left

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if refused := self._refused(asked):
                return refused
            if asked.is_probe:
                return say(OBEYED if asked.mode in self.supports else "Hello, nice to meet you!")
            if self._answer is not None:
                return self._answer(asked.json)
            if self._left:
                return self._left.pop(0)
            return say("ok") if self._endless else status(500, "The script of the fake is over.")

    def _refused(self, asked: Asked) -> Answer | None:
        given = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key and given != self.key:
            return status(401, f"Incorrect API key provided: {given}.", error="invalid_api_key")
        if asked.mode == "plain" or asked.mode in self.supports | self.ignores:
            return None
        param = "tools" if asked.mode == "tool" else "response_format"
        return status(self.refuses.get(asked.mode, 400), f"{param} of this kind is not supported here.", param=param)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, chat: ChatServer) -> None:
        self.chat = chat
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        import sys

        error = sys.exception()
        # A client that goes away is what some tests are about.
        if error is not None and not isinstance(error, OSError):
            self.chat.faults.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = LONGEST_HANG
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name for it
        pass

    def do_GET(self) -> None:
        chat = self.server.chat
        if self.path == "/v1/models":
            listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in chat.models]}
            self._send(chat.listing or sends(listed))
        else:
            self._send(status(404, "Not found."))

    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._send(status(404, "Not found."))
            return
        mode = mode_of(asked)
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_probe = str(asked["messages"][-1]["content"]).startswith(PROBE.messages[-1].text)
        answer = self.server.chat.answer(Asked(asked, headers, mode, is_probe))
        match answer:
            case Say() if asked.get("stream"):
                self._stream(answer, asked, mode)
            case Say():
                body = json.dumps(_completion(answer, asked, self._wrapped(mode))).encode()
                self.server.chat.closing.wait(answer.pause)
                half = len(body) // 2 if answer.cut else len(body)
                self._send(Send(200, body[:half], missing=len(body) - half))
                self._stall(answer)
            case Send():
                self._send(answer)
            case Hang(until):
                self._hang(until)
            case Reset():
                self._reset()

    def _wrapped(self, mode: str) -> bool:
        return mode == "tool" and "tool" in self.server.chat.supports

    def _send(self, answer: Send) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body) + answer.missing))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = self.close_connection or bool(answer.missing)

    def _stream(self, answer: Say, asked: dict[str, Any], mode: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in _chunks(answer, asked, self._wrapped(mode)):
            self.server.chat.closing.wait(answer.pause)
            self._event(json.dumps(chunk))
        if answer.cut:
            self._stall(answer)
            self.close_connection = True
            return
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def _stall(self, answer: Say) -> None:
        if answer.stalls:
            self._hang(None)

    def _hang(self, until: threading.Event | None) -> None:
        self.close_connection = True
        waited = 0.0
        while not self.server.chat.closing.wait(0.01) and waited < LONGEST_HANG:
            waited += 0.01
            if until is not None and until.is_set():
                return

    def _reset(self) -> None:
        self.close_connection = True
        # Closed with something still to say for zero seconds: that is what makes the kernel send RST.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            os.close(self.connection.detach())


def mode_of(asked: Mapping[str, Any]) -> str:
    """How a request demands a shape; `plain` where it does not."""
    if asked.get("tools"):
        return "tool"
    form = asked.get("response_format") or {}
    kind = str(form.get("type", "plain"))
    return "json_object_schema" if kind == "json_object" and "schema" in form else kind


def _completion(answer: Say, asked: Mapping[str, Any], wrapped: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.refusal is not None:
        message["refusal"] = answer.refusal
    if wrapped and answer.text is not None:
        function = {"name": asked["tools"][0]["function"]["name"], "arguments": answer.text}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer, wrapped)}
    return _envelope(answer, asked, "chat.completion") | {"choices": [choice]} | _usage(answer) | dict(answer.extra)


def _chunks(answer: Say, asked: Mapping[str, Any], wrapped: bool) -> Iterable[dict[str, Any]]:
    start = _envelope(answer, asked, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return start | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    def call(**function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}

    yield chunk({"role": "assistant", "content": "" if answer.text is not None else None})
    if wrapped:
        yield chunk(call(name=asked["tools"][0]["function"]["name"], arguments=""))
    text = answer.text or ""
    length = max(1, -(-len(text) // 4))
    pieces = [text[at : at + length] for at in range(0, len(text), length)]
    for piece in pieces[: len(pieces) // 2] if answer.cut else pieces:
        yield chunk(call(arguments=piece) if wrapped else {"content": piece})
    if answer.cut:
        return
    if answer.refusal is not None:
        yield chunk({"refusal": answer.refusal})
    yield chunk({}, _finish(answer, wrapped))
    if (asked.get("stream_options") or {}).get("include_usage") and answer.tokens is not None:
        yield start | {"choices": []} | _usage(answer)


def _finish(answer: Say, wrapped: bool) -> str:
    return "tool_calls" if wrapped and answer.finish == "stop" else answer.finish


def _envelope(answer: Say, asked: Mapping[str, Any], kind: str) -> dict[str, Any]:
    model = answer.model or asked.get("model") or "fake"
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": model}


def _usage(answer: Say) -> dict[str, Any]:
    if answer.tokens is None:
        return {}
    read, cached, written = answer.tokens
    counted = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {"usage": counted | {"prompt_tokens_details": {"cached_tokens": cached}}}
