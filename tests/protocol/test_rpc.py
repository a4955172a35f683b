"""Is a line one JSON-RPC 2.0 request, or refused with the right number?"""

import pytest

from orchestrald.errors import InvalidParams, NotFound, OrchestralError, ParseError, RequestError
from orchestrald.protocol import rpc, strict_json


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"a.b","params":{"x":1}}', rpc.Request(1, "a.b", {"x": 1})),
        (b'{"jsonrpc":"2.0","id":"q","method":"a"}\r', rpc.Request("q", "a", {})),
        (b'{"jsonrpc":"2.0","method":"a"}', rpc.Request(None, "a", {})),
        (b'{"jsonrpc":"2.0","id":0,"method":"a"}', rpc.Request(0, "a", {})),
        (b'{"jsonrpc":"2.0","id":-5,"method":"a"}', rpc.Request(-5, "a", {})),
    ],
)
def test_requests_and_notifications_are_read(line: bytes, request_: rpc.Request) -> None:
    assert rpc.parse(line) == request_


@pytest.mark.parametrize(
    ("line", "request_id", "why", "says"),
    [
        (b"{", None, ParseError, "ends in the middle"),
        (b"\xff", None, ParseError, "UTF-8"),
        (b'{"id":1,"id":2}', None, ParseError, "twice"),
        (b"[]", None, RequestError, "Batches"),
        (b'[{"jsonrpc":"2.0","id":1,"method":"a"}]', None, RequestError, "Batches"),
        (b"3", None, RequestError, "object"),
        (b'{"jsonrpc":"2.0","id":null,"method":"a"}', None, RequestError, "id"),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"a"}', None, RequestError, "id"),
        (b'{"jsonrpc":"2.0","id":true,"method":"a"}', None, RequestError, "id"),
        (b'{"jsonrpc":"2.0","id":{},"method":"a"}', None, RequestError, "id"),
        (b'{"jsonrpc":"2.0","id":"%s","method":"a"}' % (b"x" * 201), None, RequestError, "200"),
        (b'{"id":1,"method":"a"}', 1, RequestError, "jsonrpc"),
        (b'{"jsonrpc":"1.0","id":1,"method":"a"}', 1, RequestError, "jsonrpc"),
        (b'{"jsonrpc":"2.0","id":1}', 1, RequestError, "method"),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', 1, RequestError, "method"),
        (b'{"jsonrpc":"2.0","id":1,"method":""}', 1, RequestError, "method"),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","parms":{}}', 1, RequestError, "'parms'"),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', 1, RequestError, "reply"),
        (b'{"jsonrpc":"2.0","id":"q","method":"a","params":[1]}', "q", InvalidParams, "by name"),
        (b'{"jsonrpc":"2.0","id":"q","method":"a","params":null}', "q", InvalidParams, "by name"),
    ],
)
def test_what_is_no_request_is_refused_with_its_id(
    line: bytes, request_id: rpc.Id | None, why: type[OrchestralError], says: str
) -> None:
    refused = rpc.parse(line)
    assert isinstance(refused, rpc.Refused)
    assert refused.id == request_id
    assert type(refused.why) is why
    assert says in refused.why.message


def test_what_is_sent_is_one_line_each() -> None:
    assert rpc.result(7, {"a": "x\ny"}) == b'{"jsonrpc":"2.0","id":7,"result":{"a":"x\\ny"}}\n'
    assert (
        rpc.notification("events.event", {"seq": 1})
        == b'{"jsonrpc":"2.0","method":"events.event","params":{"seq":1}}\n'
    )
    sent = strict_json.loads(rpc.error(None, NotFound("No such thread.", hint="List them.")))
    assert sent == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": 4004, "message": "No such thread.", "data": {"kind": "not_found", "hint": "List them."}},
    }
