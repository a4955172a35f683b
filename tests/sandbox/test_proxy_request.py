"""Is a proxy request read in one way only, and does what goes on say exactly what was judged?"""

from __future__ import annotations

import time
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald_sandbox.proxy_body import BadBody, Body
from orchestrald_sandbox.proxy_request import MOST_HEAD_BYTES, BadRequest, Head, read


def whole(data: bytes) -> Head:
    head = read(data)
    assert head is not None
    return head


def get(*fields: str, target: str = "http://a.example/p?q=1", method: str = "GET", version: str = "1.1") -> bytes:
    lines = (f"{method} {target} HTTP/{version}", *fields, "", "")
    return "\r\n".join(lines).encode("latin-1")


def refused(data: bytes, status: int = 400) -> str:
    with pytest.raises(BadRequest) as caught:
        read(data)
    told = str(caught.value)
    assert caught.value.status == status, told
    assert told.isprintable() and told.endswith(".") and len(told) < 400
    return told


def sent(head: Head) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The first line and the fields that go on, as another parser reads them."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(head.forward)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    return b"%b %b" % (request.method, request.target), list(request.headers)


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("API.Example.com.:443", "api.example.com", 443),
        ("203.0.113.5:8443", IPv4Address("203.0.113.5"), 8443),
        ("[2001:DB8::1]:443", IPv6Address("2001:db8::1"), 443),
        ("[::ffff:10.0.0.1]:1", IPv4Address("10.0.0.1"), 1),
    ],
)
def test_connect_gives_host_port_and_the_bytes_behind_it(target: str, host: object, port: int) -> None:
    head = whole(f"CONNECT {target} HTTP/1.1\r\nHost: other.example\r\n\r\n".encode() + b"\x16\x03\n\0")
    assert (head.host, head.port, head.tunnel, head.rest) == (host, port, True, b"\x16\x03\n\0")
    assert head.forward == b""


@pytest.mark.parametrize(
    ("target", "host", "port", "origin", "field"),
    [
        ("http://a.example/p?q=1", "a.example", 80, b"/p?q=1", b"a.example"),
        ("HTTP://A.Example.:80", "a.example", 80, b"/", b"a.example"),
        ("http://a.example:8080?q", "a.example", 8080, b"/?q", b"a.example:8080"),
        ("http://[2001:db8::80]/", IPv6Address("2001:db8::80"), 80, b"/", b"[2001:db8::80]"),
        ("http://127.0.0.1:81/http://b/@x", IPv4Address("127.0.0.1"), 81, b"/http://b/@x", b"127.0.0.1:81"),
    ],
)  # fmt: skip
def test_a_url_becomes_a_path_and_a_host(target: str, host: object, port: int, origin: bytes, field: bytes) -> None:
    head = whole(get("Host: evil.example", target=target, method="PROPFIND"))
    assert (head.host, head.port, head.tunnel) == (host, port, False)
    line, fields = sent(head)
    assert line == b"PROPFIND " + origin
    assert [value for name, value in fields if name == b"host"] == [field]


def test_options_for_a_whole_server_is_a_star() -> None:
    assert whole(get(method="OPTIONS", target="http://a.example")).forward.startswith(b"OPTIONS * HTTP/1.1\r\n")


def test_fields_about_the_connection_are_not_sent_on() -> None:
    head = whole(
        get(
            "Proxy-Authorization: Basic c2VjcmV0", "Proxy-Connection: keep-alive", "PROXY-X: 1", "Keep-Alive: 5",
            "Connection: Upgrade, X-Hop ,content-length, host", "X-Hop: 1", "Upgrade: h2c", "HTTP2-Settings: AAAA",
            "TE: trailers", "Trailer: X", "Host: one", "host: two", "Accept:*/*", "X-Kept: \t caf\xe9 \t",
            "Content-Length: 3",
        )
    )  # fmt: skip
    assert sent(head)[1] == [
        (b"host", b"a.example"), (b"accept", b"*/*"), (b"x-kept", b"caf\xe9"), (b"content-length", b"3"),
        (b"connection", b"close"),
    ]  # fmt: skip
    assert b"\r\nX-Kept: caf\xe9\r\n" in head.forward


@pytest.mark.parametrize("name", ["Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "HTTP2-Settings", "Proxy-A"])
def test_each_of_them_is_left_out_though_nobody_names_it(name: str) -> None:
    fields = sent(whole(get(f"{name}: h2c", "X-Kept: 1")))[1]
    assert fields == [(b"host", b"a.example"), (b"x-kept", b"1"), (b"connection", b"close")]


def test_an_old_client_is_answered_in_its_own_version() -> None:
    assert whole(get(version="1.0")).forward.startswith(b"GET /p?q=1 HTTP/1.0\r\n")


def test_a_head_is_read_when_it_is_whole_however_it_comes() -> None:
    data = get("Content-Length: 4") + b"body"
    assert [read(data[:end]) for end in range(len(data) - 4)] == [None] * (len(data) - 4)
    assert whole(data).rest == b"body"


@pytest.mark.parametrize(
    "data",
    [
        b"GET http://a.example/ HTTP/1.1\n\n",
        b"GET http://a.example/ HTTP/1.1\n",  # at once, not after ten seconds of waiting for more
        b"GET http://a.example/ HTTP/1.1\r\nX: 1\nHost: b\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX: 1\rHost: b\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\r\nX: 1\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\n X: 1\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX: 1\r\n\tfolded\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX : 1\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\n: 1\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX: a\x1bb\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nX\xe9: a\r\n\r\n",
        b"\r\nGET http://a.example/ HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
        b"GET  http://a.example/ HTTP/1.1\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1 \r\n\r\n",
        b"GET\thttp://a.example/\tHTTP/1.1\r\n\r\n",
        b"GET http://a.example/ http/1.1\r\n\r\n",
        b"GET http://a.example/ HTTP/1.10\r\n\r\n",
        b"GET http://a.example/\r\n\r\n",
        b"GET http://a.example/a b HTTP/1.1\r\n\r\n",
        b"GET http://a.example/\xe9 HTTP/1.1\r\n\r\n",
        b"GET http://a.example/\0 HTTP/1.1\r\n\r\n",
        b"G(T http://a.example/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=lambda data: ascii(data)[2:50],
)
def test_bytes_that_two_parsers_could_read_differently_are_refused(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize(
    "target",
    [
        "http://u@a.example/", "http://u:p@a.example/", "http://a.example@evil.example/", "http://a.example:/",
        "http://a.example:0/", "http://a.example:65536/", "http://a.example:80:80/", "http://a.example:+80/", "http:///",
        "http://", "http:a.example", "http:/a.example", "http://a.example\\@evil.example/", "http://a.example/#x",
        "http://a%2eexample/", "http://evil.example%00.a.example/", "http://127.1/", "http://0x7f000001/",
        "http://2130706433/", "http://[::1/", "http://::1/", "http://[fe80::1%25lo]/", "http://*.a.example/",
        "https://a.example/", "ftp://a.example/", "ws://a.example/", "/", "*", "a.example:80", "//a.example/",
    ],
)  # fmt: skip
def test_a_target_that_is_no_plain_url_is_refused(target: str) -> None:
    refused(get(target=target))


@pytest.mark.parametrize(
    "target",
    [
        "a.example", "a.example:", ":443", "a.example:0", "a.example:99999", "a.example:443/", "u@a.example:443",
        "http://a.example/", "https://a.example:443", "evil.example%00.a.example:443", "127.1:443", "::1:443",
        "a.example:443:443", "a_b.example:443", "a" * 300 + ":443", "/", "*", "*.a.example:443", "a.example:https",
    ],
)  # fmt: skip
def test_connect_to_anything_but_a_host_and_a_port_is_refused(target: str) -> None:
    refused(get(target=target, method="CONNECT"))


def test_the_nul_trick_is_refused_before_anything_is_compared() -> None:
    refused(b"CONNECT evil.example\0.allowed.com:443 HTTP/1.1\r\n\r\n")
    refused(b"GET http://evil.example\0.allowed.com/ HTTP/1.1\r\n\r\n")


def test_other_versions_of_http_are_told_so() -> None:
    refused(b"PRI * HTTP/2.0\r\n\r\n", 505)
    refused(get(version="0.9"), 505)
    refused(get(version="1.2"), 505)


def test_a_user_name_is_named_as_the_reason() -> None:
    for target, method in (("http://u:p@a.example/", "GET"), ("u@a.example:443", "CONNECT")):
        assert "user name" in refused(get(target=target, method=method))


def test_https_is_sent_to_connect() -> None:
    assert "CONNECT" in refused(get(target="HTTPS://a.example/"))


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3, 3",),
        ("Content-Length: +3",),
        ("Content-Length: -3",),
        ("Content-Length: 3 3",),
        ("Content-Length: 0x3",),
        ("Content-Length: \xb3",),
        ("Content-Length:",),
        ("Content-Length: 1" + "0" * 18,),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding:",),
    ],
)
def test_a_body_with_two_ends_is_refused(fields: tuple[str, ...]) -> None:
    refused(get(*fields, method="POST"))


def test_chunks_in_http_1_0_are_refused() -> None:
    refused(get("Transfer-Encoding: chunked", method="POST", version="1.0"))


def test_the_end_of_a_body_is_written_anew() -> None:
    for more in ("Connection: content-length", "X: 1"):
        head = whole(get("Content-Length: 3", "content-length: 3", more, method="POST"))
        assert head.length == 3 and head.forward.lower().count(b"\r\ncontent-length: 3\r\n") == 1
    head = whole(get("Transfer-Encoding: Chunked", "Connection: transfer-encoding", method="POST"))
    assert head.length is None and (b"transfer-encoding", b"chunked") in sent(head)[1]
    assert whole(get()).length == 0 and b"ontent-" not in whole(get()).forward


def test_a_head_of_more_than_16_kib_is_refused() -> None:
    def sized(count: int) -> bytes:
        return get("X: " + "a" * (count - len(get("X: "))))

    assert len(sized(MOST_HEAD_BYTES)) == MOST_HEAD_BYTES
    assert read(sized(MOST_HEAD_BYTES)) is not None
    refused(sized(MOST_HEAD_BYTES + 1), 431)
    refused(b"a" * MOST_HEAD_BYTES, 431)
    assert read(b"a" * (MOST_HEAD_BYTES - 1)) is None


@pytest.mark.parametrize("filler", [" ", "\t ", "a ", "a", "-", ":", "a:"])
def test_no_head_takes_long_to_read(filler: str) -> None:
    blank = filler * (15_000 // len(filler))
    started = time.thread_time()
    for data in (get(f"X:{blank}"), get(f"X:{blank}\0"), get(blank), get(target=blank), get(target=f"http://{blank}/")):
        with suppress(BadRequest):
            read(data)
    assert time.thread_time() - started < 0.5  # a regular expression that backtracks takes seconds


@given(st.binary(max_size=200) | st.lists(st.sampled_from([
    b"GET ", b"CONNECT ", b"http://", b"a.example", b"[::1]", b":80", b"/", b" ", b"\r\n", b"\n", b"\0", b"HTTP/1.1",
    b"X: 1", b"Content-Length: 1", b"Transfer-Encoding: chunked", b"@", b"\xff", b"\r\n\r\n",
]), max_size=14).map(b"".join))  # fmt: skip
def test_reading_ends_in_a_head_a_wait_or_a_refusal(data: bytes) -> None:
    try:
        head = read(data)
    except BadRequest:
        return
    if head is not None and not head.tunnel:
        assert head.forward.count(b"\r\n\r\n") == 1 and head.forward.endswith(b"\r\nConnection: close\r\n\r\n")


def fed(body: Body, *pieces: bytes) -> bytes:
    return b"".join(body.take(piece) for piece in pieces)


SECOND = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"


def test_no_byte_behind_a_counted_body_goes_on() -> None:
    body = Body(4)
    assert (fed(body, b"ab"), body.ended, body.surplus) == (b"ab", False, False)
    assert (fed(body, b"cd" + SECOND), body.ended, body.surplus) == (b"cd", True, True)
    assert fed(body, SECOND) == b""
    empty = Body(0)
    assert empty.ended and fed(empty, b"") == b"" and not empty.surplus
    assert fed(empty, SECOND) == b"" and empty.surplus


@given(data=st.data(), chunks=st.lists(st.binary(min_size=1, max_size=30), max_size=5), surplus=st.binary(max_size=5))
def test_a_chunked_body_goes_on_as_it_came_in_any_pieces(
    data: st.DataObject, chunks: list[bytes], surplus: bytes
) -> None:
    coded = b"".join(b"%X\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
    wire = coded + surplus
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    body = Body(None)
    got = fed(body, *(wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)))
    assert got == coded and body.ended and body.surplus == bool(surplus)


@pytest.mark.parametrize(
    "coded",
    [
        b"3;a=b\r\nabc\r\n", b"3 \r\nabc\r\n", b" 3\r\nabc\r\n", b"+3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"\r\nabc\r\n",
        b"g\r\n", b"-1\r\n", b"000000003\r\nabc\r\n", b"3\nabc\n0\n\n", b"3\rabc\r", b"3\r\nabcd\r\n", b"3\r\nabc\n\n",
        b"0\r\nHost: other.example\r\n\r\n", b"0\r\n\n\n", b"3\r\nabc0\r\n\r\n", b"1_0\r\n", b"\xb2\r\n",
    ],
)  # fmt: skip
def test_a_chunk_that_two_parsers_could_read_differently_ends_the_connection(coded: bytes) -> None:
    for pieces in ([coded + b"0\r\n\r\n" * 4], [coded[i : i + 1] for i in range(len(coded))] + [b"0\r\n\r\n"] * 4):
        with pytest.raises(BadBody):
            fed(Body(None), *pieces)


def test_many_small_chunks_do_not_take_long() -> None:
    started = time.thread_time()
    body = Body(None)
    for _ in range(32):
        fed(body, b"1\r\na\r\n" * 5_000)
    assert time.thread_time() - started < 2  # not a copy of the rest for each chunk
