"""What does a client ask of the proxy, and what is sent on in its name?

Pure: bytes in, bytes out. Two forms are understood (RFC 9112, 3.2.2 and 3.2.3): `CONNECT host:port` and
`GET http://host/path`, with any method. Everything that two parsers could read differently is refused, because the
one who reads it differently stands behind us. The head that goes on is written anew, not passed through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from .destinations import Host, authority, host_of, split_port
from .errors import PolicyError
from .proxy_body import Body

MOST_HEAD_BYTES = 16 * 1024

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
# Blanks around the value are stripped apart: `[ \t]*` on both sides of it takes minutes for 16 KiB of blanks.
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_HTTP = re.compile(r"http://([^/?#]*)([^#]*)", re.IGNORECASE)

# About this connection, not about the request (RFC 9110, 7.6.1), or written anew below. `Upgrade` would make of one
# request a connection in which anything can follow.
_NOT_SENT_ON = frozenset({
    b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"http2-settings",
    b"host", b"content-length", b"transfer-encoding",
})  # fmt: skip


class BadRequest(ValueError):
    """Not sent on. `status` is what HTTP answers, the text says why in one sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Field(NamedTuple):
    name: bytes  # in lower case
    spelled: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """One request. `rest` came after the head: of a tunnel its first bytes, else the beginning of the body."""

    host: Host
    port: int
    tunnel: bool
    rest: bytes
    forward: bytes = b""  # the head for the upstream; empty for a tunnel
    length: int | None = 0  # of the body in bytes; None: chunked; 0 for a tunnel, whose bytes are nobody's to count

    def body(self) -> Body:
        """A fresh reader of this request's body, to be fed with `rest` first."""
        return Body(self.length)


def read(data: bytes) -> Head | None:
    """The request that `data` begins with; None while its head is not all there. BadRequest otherwise."""
    end = data.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES)
    head = data[:end] if end >= 0 else data[:MOST_HEAD_BYTES]
    if head.count(b"\n") != head.count(b"\r\n"):  # at once: who ends lines so never sends the end that we wait for
        raise BadRequest(400, "A line of the request ends in LF, not in CR LF.")
    if end < 0:
        if len(data) >= MOST_HEAD_BYTES:
            raise BadRequest(431, f"The head of the request is longer than {MOST_HEAD_BYTES} bytes.")
        return None
    first, *lines = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise BadRequest(400, "The first line is not an HTTP request: a method, a target and a version.")
    method, target = line[1], line[2].decode("ascii")
    if line[3] != b"1" or line[4] not in (b"0", b"1"):
        raise BadRequest(505, "This proxy speaks HTTP/1.1 and HTTP/1.0.")
    fields = [_field(each) for each in lines]
    rest = data[end + 4 :]
    if method == b"CONNECT":
        host, port = _host_and_port(target)
        return Head(host, port, True, rest)
    host, port, path = _absolute(target)
    if path == "" and method == b"OPTIONS":
        path = "*"
    elif not path.startswith("/"):
        path = f"/{path}"
    length = _body_length(fields, http_1_1=line[4] == b"1")
    shown = authority(host, port) if port != 80 else authority(host, port).removesuffix(":80")
    # In the client's own version: an answer in chunks is no use to a client of HTTP/1.0, and comes back as it is.
    request_line = b"%b %b HTTP/1.%b" % (method, path.encode("ascii"), line[4])
    forward = _head(request_line, shown, fields, length)
    return Head(host, port, False, rest, forward, length)


def _field(line: bytes) -> _Field:
    """A line that begins with a blank continues another (obs-fold): refused too."""
    field = _FIELD.fullmatch(line)
    if field is None:
        raise BadRequest(400, "A header field is malformed, folded, or has a control character in it.")
    return _Field(field[1].lower(), field[1], field[2].strip(b" \t"))


def _absolute(target: str) -> tuple[Host, int, str]:
    url = _HTTP.fullmatch(target)
    if url is None:
        if target.lower().startswith("https://"):
            raise BadRequest(400, "Ask for https with CONNECT: this proxy does not speak TLS for a client.")
        raise BadRequest(400, "The target is neither http://host/path nor, with CONNECT, host:port: this is a proxy.")
    place, path = url[1], url[2]
    # A colon inside an IPv6 address is not a port's; an empty port is (RFC 3986 allows it, we have no reason to).
    if ":" not in place.rpartition("]")[2]:
        place += ":80"
    return *_host_and_port(place), path


def _host_and_port(text: str) -> tuple[Host, int]:
    if "@" in text:
        raise BadRequest(400, "The target has a user name in it.")
    try:
        host, port = split_port(text)
        return host_of(host), port
    except PolicyError as error:
        told = str(error)
        raise BadRequest(400, f"The target {told}." if told.startswith("has") else f"{told}.") from None


def _body_length(fields: list[_Field], *, http_1_1: bool) -> int | None:
    lengths = {each.value for each in fields if each.name == b"content-length"}
    codings = [each.value.lower() for each in fields if each.name == b"transfer-encoding"]
    if codings:
        if lengths:
            raise BadRequest(400, "Content-Length and Transfer-Encoding contradict each other.")
        if codings != [b"chunked"] or not http_1_1:
            raise BadRequest(400, "The only Transfer-Encoding that is understood is chunked, in HTTP/1.1.")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(each) for each in lengths):
        raise BadRequest(400, "Content-Length is not one whole number.")
    return int(lengths.pop())


def _head(request_line: bytes, host: str, fields: list[_Field], length: int | None) -> bytes:
    options = (word for each in fields if each.name == b"connection" for word in each.value.split(b","))
    left_out = _NOT_SENT_ON.union(word.strip().lower() for word in options)
    lines = [request_line, b"Host: " + host.encode("ascii")]
    lines += [
        b"%b: %b" % (each.spelled, each.value)
        for each in fields
        if each.name not in left_out and not each.name.startswith(b"proxy-")
    ]
    # Written from what was understood: "Connection: content-length" cannot take the body's end away.
    if length is None:
        lines.append(b"Transfer-Encoding: chunked")
    elif length or any(each.name == b"content-length" for each in fields):
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join((*lines, b"Connection: close", b"", b""))
