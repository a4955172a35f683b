"""How much may one client take from all the others?

Each limit answers one attack, or one honest mistake that looks like it.
"""

from dataclasses import dataclass

from orchestrald.protocol.messages import MAX_REQUEST_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds, sizes bytes.

    connections      a client in a loop that never closes: one more gets `overloaded` and is closed
    in_flight        a client that pipelines without reading: one more request at a time gets `overloaded`
    subscriptions    the same with events.subscribe, per connection
    request_bytes    a line or an HTTP body without end: an error, then the connection is closed
    first_request_s  half a request, then silence: from its first byte (or from the connection's start, for the first
                     request) this long to the last. A connection without a half request may idle for ever.
    write_s          a client that does not read: one send may take this long, then the connection is dropped.
                     Its subscriptions can be taken up again by `after_seq`.
    keepalive_s      how often a silent event stream (HTTP) says that it is alive, for proxies that close silent ones
    """

    connections: int = 64
    in_flight: int = 32
    subscriptions: int = 32
    request_bytes: int = MAX_REQUEST_BYTES
    first_request_s: float = 60.0
    write_s: float = 30.0
    keepalive_s: float = 15.0


RETRY_AFTER_MS = 1000
"""What an overloaded answer advises: long enough that 2,000 retrying clients are not a flood of their own."""
