"""Does a list let through what it names and nothing else, however the question is spelled?"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald_sandbox import PolicyError
from orchestrald_sandbox.destinations import (
    Destinations,
    authority,
    bare,
    host_of,
    is_public,
    judge,
    judge_address,
    parse,
)  # fmt: skip

addresses = st.ip_addresses()
ports = st.integers(1, 65535)


def asked(lists: list[Destinations], text: str, port: int = 443) -> str:
    return judge(lists, host_of(text), port)


@given(host=st.sampled_from(["example.com", "localhost", "x.example.com"]) | addresses, port=ports)
def test_an_empty_list_and_no_list_allow_nothing(host: str | IPv4Address | IPv6Address, port: int) -> None:
    # The sandbox runtime of another project took [] for "no restriction".
    full = parse(["example.com:443", "*.example.com:443", "0.0.0.0/0:443", "[::/0]:443"])
    for lists in ([], [Destinations()], [parse([])], [full, parse([])], [parse([]), full]):
        assert judge(lists, host, port)
        if not isinstance(host, str):
            assert judge_address(lists, host, port)


def test_a_name_is_allowed_with_its_port_and_no_other() -> None:
    listed = parse(["api.example.com:443"])
    assert listed.allows_name("api.example.com", 443)
    for name, port in (
        ("api.example.com", 80), ("example.com", 443), ("x.api.example.com", 443), ("xapi.example.com", 443),
        ("api.example.com.evil.net", 443), ("api.example.co", 443),
    ):  # fmt: skip
        assert not listed.allows_name(name, port), name


def test_case_and_one_final_dot_do_not_matter() -> None:
    listed = parse(["API.Example.com.:443"])
    assert listed == parse(["api.example.com:443"])
    assert listed.allows_name("api.EXAMPLE.com", 443) and listed.allows_name("api.example.com.", 443)
    with pytest.raises(PolicyError):
        host_of("api.example.com..")


def test_a_star_stands_for_one_or_more_labels_and_never_for_the_apex() -> None:
    listed = parse(["*.example.com:443"])
    assert listed.allows_name("a.example.com", 443) and listed.allows_name("a.b.example.com", 443)
    for name in ("example.com", "aexample.com", "example.com.evil.net", ".example.com", "-.example.com"):
        assert not listed.allows_name(name, 443), name
    assert not listed.allows_name("a.example.com", 80)


BAD_HOSTS = [
    "", ".", "..", "a..b", ".a", "a.b..", "*", "*.example.com", "a*.example.com", "a b", " a", "a ", "a\t", "a\n",
    "a\r\nb", "evil.example\0.allowed.com", "allowed.com\0", "a\x7f", "a\x1b[31m", "a/b", "a@b", "a:b", "a%00", "a\\b",
    "-a.com", "a-.com", "a_b.com", "a" * 64 + ".com", ".".join(["a" * 60] * 5), "a" * 20_000, "ﬁ" * 20_000,
    # What some resolver takes for an address.
    "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.01", "1.2.3.4.",
    "256.1.1.1", "1.2.3.4.5", "127.0.0.0x1", "a.1", "a.0x", "0", "0x",
    # Other digits and dots, which IDNA turns into 127.0.0.1; signs that it drops or that change sides.
    "\uff11\uff12\uff17.0.0.1", "127。0。0。1", "①27.0.0.1", "exam\u200dple.com", "a\u202egpj.com", "exam\u00adple.com",
    # IDNA2003 makes strasse.de of the first, which belongs to somebody else; ToASCII refuses the others.
    "straße.de", "βόλος.com", "a\ud800.com", "é" * 64 + ".com", "xn--é.com",
    # IPv6 without brackets, with a zone, or unfinished.
    "::1", "2001:db8::1", "[::1", "::1]", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[]", "[1.2.3.4]", "[a.com]", "[[::1]]",
    "[::1 ]", "[::ffff:127.1]",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_HOSTS, ids=lambda text: ascii(text[:30]))
def test_a_host_that_can_be_read_in_two_ways_is_refused_before_it_is_used(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        host_of(text)
    told = str(caught.value)
    assert told.isprintable() and len(told) < 400
    wide = parse(["*.com:443", "*.allowed.com:443", "allowed.com:443", "b:443", "a:443", "*.a:443", "*.b:443"])
    assert not wide.allows_name(text, 443)
    assert judge([wide], text, 443)
    if not text.startswith("*."):
        with pytest.raises(PolicyError):
            parse([f"{text}:443"])


def test_the_nul_trick_does_not_pass_the_suffix_of_a_star() -> None:
    # A SOCKS proxy matched `endswith(".allowed.com")`, and its resolver stopped at the NUL.
    listed = parse(["*.allowed.com:443"])
    assert listed.allows_name("good.allowed.com", 443)
    assert not listed.allows_name("evil.example\0.allowed.com", 443)


@given(text=st.text(max_size=40) | st.text("0123456789abcdefx.:[]-*%/", max_size=30))
def test_normalising_never_fails_otherwise_and_twice_is_once(text: str) -> None:
    try:
        host = host_of(text)
    except PolicyError:
        return
    again = authority(host, 1).removesuffix(":1")
    assert host_of(again) == host
    if isinstance(host, str):
        assert host.isascii() and host == host.lower() and not set(host) & set(" *\0/:@%[]")


def test_a_name_in_another_script_is_its_a_labels() -> None:
    assert host_of("Bücher.example") == "xn--bcher-kva.example" == host_of("Bu\u0308cher.example")
    assert parse(["*.bücher.example:443"]).allows_name("a.xn--bcher-kva.example", 443)


@pytest.mark.parametrize(
    "entry",
    [
        "", "example.com", "example.com:", ":443", "example.com:0", "example.com:65536", "example.com:*", "*:443",
        "*.:443", "*.*.com:443", "a.*.com:443", "*.10.0.0.1:443", "*.[::1]:443", "example.com:0443", "example.com:+443",
        "example.com: 443", "example.com:443 ", "example.com:٤٤٣", "https://example.com:443", "example.com:443/path",
        "u@example.com:443", "10.0.0.0/8", "10.1.2.3/8:443", "10.0.0.0/33:443", "10/8:443", "10.0.0.0/255.0.0.0:443",
        "10.0.0.0/0.255.255.255:443", "10.0.0.0/:443", "[10.0.0.0/8]:443", "fd00::/8:443", "[fd00::/129]:443",
        "[fd00::]/8:443", "[fe80::%1/64]:443", "[::ffff:10.0.0.0/104]:443", "2001:db8::1:443", "010.0.0.0/8:443",
        "\x1b]0;title\x07:443", "a" * 10_000, 443, None, b"a:443", 26_603,
    ],
    ids=lambda entry: ascii(entry)[:30],
)  # fmt: skip
def test_an_entry_that_is_not_understood_is_refused_by_name(entry: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(["good.example:443", entry])
    told = str(caught.value)
    assert repr(entry)[:250] in told and "*.example.com:443" in told
    assert told.isprintable() and len(told) < 1000


def test_one_text_is_not_a_list() -> None:
    for text in ("example.com:443", ""):
        with pytest.raises(PolicyError, match="not a list"):
            parse(text)


def test_an_address_is_asked_for_by_an_entry_for_addresses_only() -> None:
    listed = parse(["203.0.113.5:443", "[2001:db8::1]:443", "10.0.0.0/8:443", "[fd00::/8]:8443"])
    for text in ("203.0.113.5", "[2001:DB8:0::1]", "10.255.0.1", "[::ffff:10.1.2.3]", "[::ffff:cb00:7105]"):
        assert asked([listed], text) == "", text
    assert asked([listed], "[fdff::1]", 8443) == ""
    for text in ("203.0.113.6", "[2001:db8::2]", "11.0.0.1", "[fd00::1]", "[::10.1.2.3]", "8.8.8.8"):
        assert asked([listed], text), text
    assert asked([parse(["*.com:443", "dns.google:443"])], "8.8.8.8")


PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111",
    "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
]  # fmt: skip
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - nobody binds it here
    "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::10.0.0.1", "::ffff:0:10.0.0.1", "fe80::1", "fe80::1%2", "febf::1%lo", "fec0::1",
    "fc00::1", "fd12::1", "ff02::1", "ff0e::1", "100::1", "2001:db8::1", "2001:2::1", "2001:10::1", "3fff::1",
    "4000::1", "5f00::1", "64:ff9b:1::1",
    # IPv4 in other clothes.
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1",
    "2002:a00:1::1", "2001:0:808:808::80ff:fffe", "2001:0:a00:1::f7f7:f7f7", "2001:0:808:808::f7f7:f7f7",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_behind_an_allowed_name_is_fine(text: str) -> None:
    assert is_public(ip_address(text))
    assert judge_address([parse(["example.com:443"])], ip_address(text), 443) == ""


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_any_other_address_behind_an_allowed_name_is_refused(text: str) -> None:
    assert not is_public(ip_address(text))
    assert "is not public" in judge_address([parse(["example.com:443", "*.com:443"])], ip_address(text), 443)


@given(addresses)
def test_nothing_is_public_that_python_knows_to_be_special(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        assert inner.is_global and not inner.is_multicast and not inner.is_loopback


def test_a_listed_name_does_not_open_the_private_address_that_it_leads_to() -> None:
    alone, both = parse(["localhost:8080"]), parse(["localhost:8080", "127.0.0.1:8080"])
    assert asked([alone], "localhost", 8080) == ""
    assert judge_address([alone], IPv4Address("127.0.0.1"), 8080)
    assert judge_address([both], IPv4Address("127.0.0.1"), 8080) == ""
    assert judge_address([both], IPv4Address("127.0.0.1"), 8081)
    assert judge_address([both], IPv4Address("127.0.0.2"), 8080)
    corp = [parse(["git.corp:443", "10.0.0.0/8:443"])]
    assert judge_address(corp, IPv4Address("10.9.8.7"), 443) == ""
    assert judge_address(corp, IPv6Address("::ffff:10.9.8.7"), 443) == ""
    assert judge_address(corp, IPv4Address("192.168.0.1"), 443)


def test_a_zone_changes_nothing() -> None:
    scoped = IPv6Address("fe80::1%2")
    assert bare(scoped) == IPv6Address("fe80::1") != scoped
    assert judge_address([parse(["a:1", "[fe80::/10]:1"])], scoped, 1) == ""


def test_a_manifest_narrows_and_never_opens() -> None:
    operator = parse(["*.example.com:443", "git.corp:443", "10.0.0.0/8:443"])
    manifest = parse(["api.example.com:443", "evil.net:443", "192.168.0.0/16:443", "127.0.0.1:443"])
    assert asked([operator, manifest], "api.example.com") == ""
    assert asked([operator, manifest], "www.example.com").endswith("that the manifest asks for")
    assert asked([operator, manifest], "evil.net") == "evil.net:443 is not in the list of destinations"
    assert asked([operator, manifest], "10.0.0.1") and asked([operator, manifest], "127.0.0.1")
    for private in ("192.168.0.1", "127.0.0.1"):
        assert judge_address([operator, manifest], ip_address(private), 443)
    # The operator's networks open what a name leads to, and no manifest needs to know them.
    assert judge_address([operator, manifest], ip_address("10.0.0.1"), 443) == ""


entries = st.lists(
    st.sampled_from([
        "a.com:443", "*.a.com:443", "b.a.com:443", "10.0.0.0/8:443", "10.0.0.1:443", "[fd00::/8]:443", "127.0.0.1:80",
    ]),
    max_size=4,
).map(parse)  # fmt: skip
hosts = st.sampled_from(["a.com", "b.a.com", "c.b.a.com", "10.0.0.1", "10.0.0.2", "[fd00::1]", "127.0.0.1"]).map(
    host_of
)


@given(lists=st.lists(entries, min_size=1, max_size=3), more=entries, host=hosts, port=st.sampled_from([80, 443]))
def test_one_more_list_never_allows_more(
    lists: list[Destinations], more: Destinations, host: str | IPv4Address | IPv6Address, port: int
) -> None:
    if judge([*lists, more], host, port) == "":
        assert judge(lists, host, port) == "" == judge([more], host, port)
    if not isinstance(host, str) and judge_address([*lists, more], host, port) == "":
        assert judge_address(lists, host, port) == ""
