"""Can a request ever loosen what the operator granted, and is every bad word refused?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald_sandbox import (
    Backend,
    FsRead,
    Limits,
    Mode,
    Network,
    Policy,
    PolicyError,
    Request,
    destinations,
    parse,
    refused,
    tighten,
)  # fmt: skip
from orchestrald_sandbox.policy import PERMISSIVENESS

limits = st.builds(
    Limits,
    memory_bytes=st.integers(4 << 20, 2**40),
    processes=st.integers(1, 4096),
    cpu_seconds=st.integers(1, 3600),
)
lists = st.lists(st.sampled_from(["a.example:443", "*.b.example:80", "10.0.0.0/8:22"]), min_size=1).map(
    destinations.parse
)
policies = st.one_of(
    st.builds(
        Policy, mode=st.sampled_from(Mode), unix_sockets=st.booleans(), fs_read=st.sampled_from(FsRead), limits=limits,
        workspace=st.none() | st.just("/home/u/w"), network=st.sampled_from([Network.OFF, Network.HOST]),
    ),
    st.builds(Policy, network=st.just(Network.PROXY), destinations=lists.map(lambda found: (found,)), limits=limits),
)  # fmt: skip
requests = st.builds(
    Request, mode=st.none() | st.sampled_from(Mode), network=st.none() | st.sampled_from(Network),
    destinations=lists, unix_sockets=st.none() | st.booleans(), limits=st.none() | limits,
    protected=st.lists(st.sampled_from([".git", ".secret", "conf/x"])).map(tuple),
)  # fmt: skip


@given(operator=policies, requested=requests)
def test_a_request_never_loosens_anything(operator: Policy, requested: Request) -> None:
    got = tighten(operator, requested)
    for before, after in ((operator.mode, got.mode), (operator.network, got.network)):
        assert PERMISSIVENESS[after] <= PERMISSIVENESS[before]
    assert got.unix_sockets <= operator.unix_sockets
    assert all(value <= getattr(operator.limits, name) for name, value in got.limits.items())
    assert set(operator.protected) <= set(got.protected)
    if got.network is Network.PROXY and operator.network is Network.PROXY:
        assert got.destinations[: len(operator.destinations)] == operator.destinations
    for name in ("backend", "fs_read", "workspace", "writable_roots", "read_roots", "masked", "run_as"):
        assert getattr(got, name) == getattr(operator, name)


@given(operator=policies, requested=requests)
def test_a_request_for_less_is_given_and_asking_twice_changes_nothing(operator: Policy, requested: Request) -> None:
    got = tighten(operator, requested)
    for name in ("mode", "network"):
        wanted = getattr(requested, name)
        if wanted is not None and PERMISSIVENESS[wanted] <= PERMISSIVENESS[getattr(operator, name)]:
            assert getattr(got, name) == wanted
    assert tighten(got, requested) == got


@given(operator=policies)
def test_an_empty_request_changes_nothing(operator: Policy) -> None:
    assert tighten(operator, Request()) == operator


def test_what_was_refused_is_told_in_words() -> None:
    told = refused(Policy(), Request(mode=Mode.WORKSPACE_WRITE, network=Network.HOST, unix_sockets=True))
    assert [line.split()[0] for line in told] == ["mode", "network", "unix_sockets"]
    assert refused(Policy(), Request(mode=Mode.READ_ONLY, unix_sockets=False)) == ()


def test_a_request_for_a_sandbox_that_the_operator_has_switched_off_is_an_error() -> None:
    with pytest.raises(PolicyError, match="backend"):
        tighten(Policy(mode=Mode.NONE, backend=Backend.NONE), Request(mode=Mode.READ_ONLY))


@pytest.mark.parametrize("kind", [Mode, Network, FsRead, Backend])
@pytest.mark.parametrize("word", ["", "None", "read-only", "READ_ONLY", None, 0, True, [], {}])
def test_an_unknown_word_is_an_error_that_names_the_known_ones(kind: type[Mode], word: object) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(kind, word, "sandbox.setting")
    assert "sandbox.setting" in str(caught.value) and all(member.value in str(caught.value) for member in kind)


@pytest.mark.parametrize("kind", [Mode, Network, FsRead, Backend])
def test_every_known_word_is_parsed(kind: type[Mode]) -> None:
    assert [parse(kind, member.value, "s") for member in kind] == list(kind)


@pytest.mark.parametrize("path", ["/", "/etc", "/proc", "/proc/sys", "/dev/shm", "/tmp", "/home", "/usr", "/sys/fs"])
@pytest.mark.parametrize("place", ["workspace", "scratch", "plugin_dir"])
def test_roots_that_are_too_wide_are_refused(path: str, place: str) -> None:
    with pytest.raises(PolicyError, match="too wide"):
        Policy(**{place: path})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["relative", "", "/a/../b", "/a/./b", "/a//b", "/a/", "//a", "/a\0b", "~/x"])
def test_a_path_must_be_absolute_and_in_its_shortest_form(path: str) -> None:
    for place in ({"workspace": path}, {"read_roots": (path,)}, {"masked": (path,)}, {"cwd": path}):
        with pytest.raises(PolicyError):
            Policy(**place)  # type: ignore[arg-type]


@pytest.mark.parametrize("root", ["/home/u", "/home/u/.state", "/home/u/.state/db"])
def test_what_is_private_is_shown_neither_itself_nor_within_a_root(root: str) -> None:
    private = ("/home/u", "/home/u/.state", "/home/u/.state/db")
    for place in (
        {"workspace": root},
        {"read_roots": (root,)},
        {"writable_roots": (root,)},
        {"scratch": root},
    ):
        with pytest.raises(PolicyError, match="would show"):
            Policy(**place).checked(private=private)  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match="would show"):
        Policy(workspace="/home/u").checked(private=["/home/u/.state"])
    beside = Policy(workspace="/home/u/.statex", scratch="/home/u/.state/runs/1")
    assert beside.checked(private=private) == beside


def test_a_sandbox_without_a_backend_is_an_error() -> None:
    with pytest.raises(PolicyError, match="backend"):
        Policy(backend=Backend.NONE)


def test_a_plugin_cannot_write_to_its_own_folder() -> None:
    with pytest.raises(PolicyError, match="own folder"):
        Policy(mode=Mode.WORKSPACE_WRITE, workspace="/p/x", plugin_dir="/p/x")


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, None])
def test_a_limit_is_a_whole_number_above_zero(value: object) -> None:
    with pytest.raises(PolicyError, match="processes"):
        Limits(processes=value)  # type: ignore[arg-type]


def test_nothing_but_scratch_is_writable_unless_the_mode_says_so() -> None:
    policy = Policy(workspace="/a/w", writable_roots=("/a/x",), scratch="/a/s")
    assert policy.writable() == ("/a/s",)
    assert Policy(
        mode=Mode.WORKSPACE_WRITE, workspace="/a/w", writable_roots=("/a/x", "/a/w"), scratch="/a/s"
    ).writable() == ("/a/w", "/a/x", "/a/s")


def test_an_empty_list_of_destinations_is_no_network_and_never_all_of_it() -> None:
    with pytest.raises(PolicyError, match="destinations"):
        Policy(network=Network.PROXY)
    with pytest.raises(PolicyError, match="destinations"):
        Policy(network=Network.PROXY, destinations=(destinations.parse([]),))
    operator = Policy(network=Network.PROXY, destinations=(destinations.parse(["a.example:443"]),))
    asked = Request(network=Network.PROXY, destinations=destinations.parse([]))
    assert tighten(operator, asked).network is Network.OFF
    assert tighten(Policy(network=Network.HOST), Request(network=Network.PROXY)).network is Network.OFF
