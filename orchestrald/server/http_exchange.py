"""How are bytes turned into one HTTP request after the other, and answers into bytes?

h11 knows the protocol; here it meets the stream, the limits and the clock.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import h11
import trio

from orchestrald.errors import FrameTooLarge, OrchestralError, RequestError
from orchestrald.protocol import strict_json
from orchestrald.server.limits import Limits
from orchestrald.server.outgoing import Outgoing

_READ_BYTES = 65536


class Refusal(Exception):
    """The answer is this status and error, and the connection is closed after it if `close`."""

    def __init__(self, status: HTTPStatus, why: OrchestralError, *, close: bool = False) -> None:
        super().__init__(why.message)
        self.status, self.why, self.close = status, why, close


class HttpRequest(NamedTuple):
    """`query` holds the last value of each name; header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One client's requests and answers, in turn."""

    def __init__(self, stream: trio.abc.Stream, received: bytes, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._out = Outgoing(stream, limits.write_s)
        self._http = h11.Connection(h11.SERVER)
        self._http.receive_data(received)
        self._receiving: trio.CancelScope | None = None
        self.finishing = False

    def finish(self) -> None:
        """Take no further request."""
        self.finishing = True
        if self._receiving is not None:
            self._receiving.cancel()

    async def next(self) -> HttpRequest | None:
        """The next request, or nothing when the client has no more. Raises Refusal for what cannot be a request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is not h11.IDLE or self.finishing:
            return None
        with trio.CancelScope(deadline=trio.current_time() + self._limits.first_request_s) as self._receiving:
            try:
                return await self._request()
            except h11.RemoteProtocolError as e:
                status = HTTPStatus(e.error_status_hint)
                raise Refusal(status, RequestError(f"This is not HTTP/1.1: {e}."), close=True) from None
        if self.finishing or not self._begun:
            return None
        why = RequestError(f"No complete request came within {self._limits.first_request_s:g} s.")
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, why, close=True)

    async def answer(self, status: HTTPStatus, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer; a body is JSON. Raises BrokenResourceError when the client has gone."""
        fields = {"Content-Length": str(len(body)), **(headers or {})}
        if body:
            fields["Content-Type"] = "application/json"
        if status == HTTPStatus.NO_CONTENT:
            del fields["Content-Length"]
        await self._out.send(self._head(status, fields) + self._encode(h11.Data(data=body)) + self._end())

    async def refuse(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> None:
        """A refusal as `{"error": ...}`. Does nothing once an answer has begun: it cannot be taken back."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            fields = {"Connection": "close"} if refusal.close else {}
            body = strict_json.dumps({"error": refusal.why.to_wire()})
            await self.answer(refusal.status, body, {**fields, **(headers or {})})

    async def begin_stream(self, content_type: str) -> None:
        """An answer of unknown length; `stream` sends its pieces, and the connection ends with it."""
        fields = {"Content-Type": content_type, "Cache-Control": "no-store", "Connection": "close"}
        await self._out.send(self._head(HTTPStatus.OK, fields))

    async def stream(self, piece: bytes) -> None:
        await self._out.send(self._encode(h11.Data(data=piece)))

    async def end_stream(self) -> None:
        await self._out.send(self._end())

    def _head(self, status: HTTPStatus, fields: Mapping[str, str]) -> bytes:
        return self._encode(h11.Response(status_code=status, headers=list(fields.items()), reason=status.phrase))

    def _end(self) -> bytes:
        return self._encode(h11.EndOfMessage())

    def _encode(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""

    @property
    def _begun(self) -> bool:
        return self._http.their_state is not h11.IDLE or bool(self._http.trailing_data[0])

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._out.send(self._encode(h11.InformationalResponse(status_code=100, headers=[])))
            self._http.receive_data(bytes(await self._stream.receive_some(_READ_BYTES)))
        return event

    async def _request(self) -> HttpRequest | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None  # the client has closed
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        if int(headers.get("content-length", "0")) > self._limits.request_bytes:
            raise self._too_large()
        body = bytearray()
        while isinstance(part := await self._event(), h11.Data):
            body += part.data
            if len(body) > self._limits.request_bytes:
                raise self._too_large()
        target = urlsplit(head.target.decode("latin-1"))
        query = {name: values[-1] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        return HttpRequest(head.method.decode("ascii"), target.path, query, headers, bytes(body))

    def _too_large(self) -> Refusal:
        size = self._limits.request_bytes
        why = FrameTooLarge(f"The body is longer than {size} bytes.", data={"max_bytes": size})
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, close=True)
