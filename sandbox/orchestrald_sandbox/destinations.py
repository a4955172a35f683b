"""Where may a command connect to?

Pure: nothing is resolved here. A name is matched as text, so it is normalised first, and refused when two programs
could read it differently: `evil.example\\0.allowed.com` ends in an allowed name, and for a resolver before the NUL.
What a name resolved to is judged apart: a listed name never opens a private address by itself (DNS rebinding).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from .errors import PolicyError

Address: TypeAlias = IPv4Address | IPv6Address
Host: TypeAlias = str | IPv4Address | IPv6Address  # a str is a name as `host_of` gives it, never an address

FORMS = (
    "host.example:443, *.example.com:443, 203.0.113.5:443, [2001:db8::1]:443, 10.0.0.0/8:443 or [fd00::/8]:443, "
    "with a port from 1 to 65535"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# WHATWG URL, "ends in a number": inet_aton takes 127.1, 0x7f.1, 2130706433 and 017700000001 for addresses.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_QUAD = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_PREFIX = re.compile(r"[^/]+/[0-9]{1,3}")

# The tables are ours because `ipaddress.is_global` says other things in other releases of Python: 3.11.7 calls
# ::7f00:1, fec0::1, 3fff::1 and 64:ff9b:1::1 global. From IANA's special-purpose registries (RFC 6890) and RFC 3879.
_SPECIAL_4 = tuple(
    IPv4Network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/3",
    )
)  # fmt: skip
_UNICAST_6 = IPv6Network("2000::/3")  # outside it lie ::1, ::a.b.c.d, fc00::/7, fe80::/10, fec0::/10, ff00::/8
_SPECIAL_6 = tuple(
    IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "3fff::/20")
)  # the first has Teredo in it
_NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class Destinations:
    """One list. Empty allows nothing: it never means "no restriction"."""

    names: frozenset[tuple[str, int]] = frozenset()
    above: frozenset[tuple[str, int]] = frozenset()  # ("example.com", 443): any name below it, not itself
    networks: frozenset[tuple[IPv4Network | IPv6Network, int]] = frozenset()  # an address is one of /32 or /128

    def __bool__(self) -> bool:
        return bool(self.names or self.above or self.networks)

    def allows_name(self, host: str, port: int) -> bool:
        """Is this name listed? False for an address, and for what is no acceptable name."""
        try:
            name = host_of(host)
        except PolicyError:
            return False
        if not isinstance(name, str):
            return False
        labels = name.split(".")
        parents = (".".join(labels[start:]) for start in range(1, len(labels)))
        return (name, port) in self.names or any((parent, port) in self.above for parent in parents)

    def allows_address(self, address: Address, port: int) -> bool:
        """Does an entry for an address or a network cover this one, with this port?"""
        judged = bare(address)
        return any(port == listed and judged in network for network, listed in self.networks)


def parse(entries: Iterable[str]) -> Destinations:
    """The list that these entries spell; PolicyError names the first that is not in one of `FORMS`."""
    if isinstance(entries, str):
        raise PolicyError(f"{entries!r:.300} is not a list of destinations; write {FORMS}")
    names, above, networks = set(), set(), set()
    for entry in entries:
        try:
            if not isinstance(entry, str):
                raise PolicyError("is not text")
            host, port = split_port(entry)
            if "/" in host:
                networks.add((_network(host), port))
            elif host.startswith("*."):
                above.add((_name(host[2:]), port))
            elif isinstance(found := host_of(host), str):
                names.add((found, port))
            else:
                networks.add((_single(found), port))
        except PolicyError as error:
            raise PolicyError(f"destination {entry!r:.300}: {error}; write {FORMS}") from None
    return Destinations(frozenset(names), frozenset(above), frozenset(networks))


def judge(lists: Sequence[Destinations], host: Host, port: int) -> str:
    """Why a command may not ask for this host and port, in words; "" when every list allows it.

    The first list is the operator's, the others narrow it. No list at all allows nothing.
    """
    for number, each in enumerate(lists):
        if isinstance(host, str):
            allowed, why = each.allows_name(host, port), "is not in the list of destinations"
        else:
            allowed, why = each.allows_address(host, port), "is covered by no address or network in the destinations"
        if not allowed:
            whose = " that the manifest asks for" if number else ""
            return f"{authority(host, port)} {why}{whose}"
    return "" if lists else f"{authority(host, port)} is refused: no destinations are listed"


def judge_address(lists: Sequence[Destinations], address: Address, port: int) -> str:
    """Why a connection may not go to this address, in words; "" when it may.

    Asked for everything that an allowed name resolved to. A public address is fine; any other must be covered by
    the operator's list, the first: a manifest does not know the operator's network, and may not open it.
    """
    if not lists or Destinations() in lists:
        return f"{authority(address, port)} is refused: no destinations are listed"
    if is_public(address) or lists[0].allows_address(address, port):
        return ""
    return f"{authority(address, port)} is not public, and no address or network in the destinations covers it"


def host_of(text: str) -> Host:
    """The one host that `text` means, normalised: a name in lower case without a final dot and in A-labels, or an
    address (IPv6 in brackets, IPv4 as a dotted quad; an IPv4-mapped one is IPv4). PolicyError if in any doubt."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return bare(IPv6Address(_no_zone(text[1:-1])))
        except ValueError:
            raise PolicyError(f"{text!r:.300} is not an IPv6 address in brackets") from None
    if _QUAD.fullmatch(text):
        try:
            return IPv4Address(text)
        except ValueError:  # above 255, or a leading zero, which is octal for some
            raise PolicyError(f"{text!r} is not an IPv4 address") from None
    return _name(text)


def split_port(text: str) -> tuple[str, int]:
    """The host, unjudged, and the port of `host:port`; PolicyError if there is no port, or a strange one."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise PolicyError("has no port from 1 to 65535 at its end")
    return host, int(port)


def authority(host: Host, port: int) -> str:
    """`host:port` as a URL and an entry spell it."""
    return f"[{host}]:{port}" if isinstance(host, IPv6Address) else f"{host}:{port}"


def is_public(address: Address) -> bool:
    """Is this a unicast address of the open Internet? One that carries an IPv4 address is as public as that is."""
    judged = bare(address)
    if isinstance(judged, IPv4Address):
        return not any(judged in each for each in _SPECIAL_4)
    if judged in _NAT64:
        return is_public(IPv4Address(int(judged) & 0xFFFF_FFFF))
    if judged.sixtofour is not None:
        return is_public(judged.sixtofour)
    return judged in _UNICAST_6 and not any(judged in each for each in _SPECIAL_6)


def bare(address: Address) -> Address:
    """Without a zone, and IPv4 where the kernel would speak IPv4: the same machine in one spelling."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _name(text: str) -> str:
    name = _ascii(text).lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise PolicyError(f"{text!r:.300} is not a host name")
    if _NUMBER.fullmatch(labels[-1]):
        raise PolicyError(f"{text!r} could be taken for an address")
    return name


def _ascii(text: str) -> str:
    """A-labels for a name in another script. What does not come back the same is refused: the `idna` codec makes
    strasse.de of straße.de, which has another owner today, and 127.0.0.1 of digits in another width."""
    if text.isascii() or len(text) > 253:
        return text
    composed = unicodedata.normalize("NFC", text)
    try:
        encoded = composed.encode("idna")
        same = encoded.decode("idna") == composed.lower()
    except UnicodeError:
        same = False
    if not same:
        raise PolicyError(f"{text!r} has no certain spelling in ASCII, write its A-labels (xn--...)")
    return encoded.decode("ascii")


def _network(text: str) -> IPv4Network | IPv6Network:
    bracketed = text.startswith("[") and text.endswith("]")
    inner = text[1:-1] if bracketed else text
    if not _PREFIX.fullmatch(inner):
        raise PolicyError(f"{text!r:.300} is not an address and the length of a prefix")
    try:
        found = IPv6Network(_no_zone(inner)) if bracketed else IPv4Network(inner)
    except ValueError:  # is 10.1.2.3/8 one machine or sixteen million?
        raise PolicyError(f"{text!r:.300} is not a network, in which all bits after the prefix are zero") from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        raise PolicyError(f"{text!r} covers nothing, write it as IPv4")
    return found


def _single(address: Address) -> IPv4Network | IPv6Network:
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def _no_zone(text: str) -> str:
    if "%" in text:
        raise PolicyError("a zone means something on one machine only")
    return text
