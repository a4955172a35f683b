"""Does a call survive what happens to connections and daemons?"""

import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrald import client as client_module
from orchestrald.cli.subscription import Subscription
from orchestrald.client import CHANGING, MAX_REQUEST_BYTES, PROTOCOL_VERSION, Client, ClientError, Refused, Unreachable
from orchestrald.paths import Paths
from orchestrald.protocol import messages


@pytest.fixture
def paths(home: Path) -> Paths:
    return Paths.find({"ORCHESTRAL_HOME": str(home)})


def test_the_client_knows_the_same_protocol_as_the_daemon() -> None:
    assert {name for name, method in messages.METHODS.items() if method.changes} == CHANGING
    assert (messages.PROTOCOL_VERSION, messages.MAX_REQUEST_BYTES) == (PROTOCOL_VERSION, MAX_REQUEST_BYTES)


def test_parameters_that_are_none_are_left_out(daemon: Any, paths: Paths) -> None:
    daemon.answers["interaction.list"] = {"interactions": []}
    Client(paths).call("interaction.list", state=None, limit=3)
    assert daemon.asked == [("interaction.list", {"limit": 3})]


def test_a_dropped_submit_is_sent_again_with_the_same_request_id(daemon: Any, paths: Paths, hang_up: Any) -> None:
    def submit(_peer: Any, _params: dict[str, Any]) -> dict[str, Any]:
        if len(daemon.params_of("interaction.submit")) < 3:
            raise hang_up
        return {"interaction_id": "i"}

    daemon.answers["interaction.submit"] = submit
    assert Client(paths).call("interaction.submit", intent="x") == {"interaction_id": "i"}
    ids = [params["request_id"] for params in daemon.params_of("interaction.submit")]
    assert len(ids) == 3
    assert len(set(ids)) == 1


def test_two_submits_have_different_request_ids(daemon: Any, paths: Paths) -> None:
    daemon.answers["interaction.submit"] = {}
    client = Client(paths)
    client.call("interaction.submit", intent="x")
    client.call("interaction.submit", intent="x")
    assert len({params["request_id"] for params in daemon.params_of("interaction.submit")}) == 2


def test_a_call_that_is_always_dropped_ends_in_words(daemon: Any, paths: Paths, hang_up: Any) -> None:
    def never(_peer: Any, _params: dict[str, Any]) -> None:
        raise hang_up

    daemon.answers["system.ping"] = never
    with pytest.raises(Unreachable, match="tried 4 times"):
        Client(paths).call("system.ping")


def test_an_error_carries_kind_message_hint_and_data(daemon: Any, paths: Paths, refusal: Any) -> None:
    def refuse(_peer: Any, _params: dict[str, Any]) -> None:
        raise refusal("not_found", "No such thing.", hint="Look elsewhere.", nearest=["a"])

    daemon.answers["action.get"] = refuse
    with pytest.raises(Refused, match="No such thing") as caught:
        Client(paths).call("action.get", name="x")
    assert (caught.value.kind, caught.value.hint, caught.value.data["nearest"]) == (
        "not_found",
        "Look elsewhere.",
        ["a"],
    )


@pytest.mark.parametrize("kind", ["overloaded", "draining"])
def test_a_busy_daemon_is_asked_again(daemon: Any, paths: Paths, refusal: Any, kind: str) -> None:
    def ping(_peer: Any, _params: dict[str, Any]) -> dict[str, Any]:
        if len(daemon.asked) < 3:
            raise refusal(kind, retry_after_ms=10)
        return {}

    daemon.answers["system.ping"] = ping
    assert Client(paths).call("system.ping") == {}


def test_a_silent_daemon_is_not_waited_for_for_ever(daemon: Any, paths: Paths) -> None:
    done = threading.Event()
    daemon.answers["system.ping"] = lambda _peer, _params: done.wait(5)
    with pytest.raises(Unreachable, match=r"not answered system\.ping"):
        Client(paths).call("system.ping", timeout=0.05)
    done.set()


def test_without_a_daemon_and_without_leave_to_start_one_the_hint_names_the_command(paths: Paths) -> None:
    with pytest.raises(Unreachable) as caught:
        Client(paths).call("system.ping")
    assert "orchestral start" in caught.value.hint


def test_a_stale_socket_file_starts_the_daemon(daemon: Any, paths: Paths) -> None:
    daemon.answers["system.ping"] = {}
    daemon.stop()
    started = []

    def start(found: Paths) -> None:
        started.append(found)
        Path(found.socket).unlink()
        daemon.start()

    assert Client(paths, start).call("system.ping") == {}
    assert started == [paths]


def test_a_request_that_the_daemon_would_not_read_is_not_sent(daemon: Any, paths: Paths) -> None:
    with pytest.raises(ClientError, match="reads 4194304"):
        Client(paths).call("interaction.submit", intent="x" * MAX_REQUEST_BYTES)
    with pytest.raises(ClientError, match="NaN"):
        Client(paths).call("interaction.submit", plan=float("nan"))
    assert daemon.asked == []


def test_an_answer_of_many_megabytes_arrives_whole(daemon: Any, paths: Paths) -> None:
    daemon.answers["reference.get"] = {"text": "x" * 20_000_000}
    assert len(Client(paths).call("reference.get", digest="d")["text"]) == 20_000_000


def test_what_is_no_daemon_is_told_so(daemon: Any, paths: Paths) -> None:
    daemon.answers["system.ping"] = lambda peer, _params: peer.connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(Unreachable, match="does not speak JSON"):
        Client(paths).call("system.ping")


def log(events: range, epoch: str = "1") -> Any:
    """A subscription's answer: the stored events after the cursor, all at once."""

    def subscribe(peer: Any, params: dict[str, Any]) -> dict[str, Any]:
        wanted = [seq for seq in events if seq > params["after_seq"]]
        after = [lambda peer, seq=seq: peer.event({"seq": seq, "type": "t"}) for seq in wanted]
        return {"subscription": "s", "last_seq": events[-1], "_after": after}

    return subscribe


def collect(subscription: Subscription, until: int) -> list[Any]:
    """What `next` gives, events as their seq, other words as they are, until that seq was seen."""
    seen: list[Any] = []
    for _ in range(10_000):
        item = subscription.next(0.5)
        if item is not None:
            seen.append(item[1]["seq"] if item[0] == "event" else item[0])
            if seen[-1] == until:
                return seen
    raise AssertionError(f"{until} never came: {seen[-5:]}")


def test_a_stream_goes_on_after_the_daemon_was_killed_without_loss_or_repetition(daemon: Any, paths: Paths) -> None:
    daemon.answers["events.subscribe"] = log(range(1, 31))

    def start(found: Paths) -> None:
        Path(found.socket).unlink()
        daemon.answers["events.subscribe"] = log(range(1, 61))
        daemon.start()

    subscription = Subscription(Client(paths, start), after_seq=0)
    first = collect(subscription, 20)
    daemon.stop()
    second = collect(subscription, 60)
    words = [item for item in first + second if isinstance(item, str)]
    assert [item for item in first + second if isinstance(item, int)] == list(range(1, 61))
    assert words == ["lost"]
    # A dying connection may take what had not been read yet with it: it goes on after the last that was seen.
    seen = first + second
    assert daemon.params_of("events.subscribe")[1]["after_seq"] == seen[seen.index("lost") - 1]
    subscription.close()


def test_events_that_come_twice_are_given_once(daemon: Any, paths: Paths) -> None:
    def subscribe(_peer: Any, _params: dict[str, Any]) -> dict[str, Any]:
        seqs = [1, 2, 2, 1, 3]
        return {"last_seq": 0, "_after": [lambda p, seq=seq: p.event({"seq": seq}) for seq in seqs]}

    daemon.answers["events.subscribe"] = subscribe
    subscription = Subscription(Client(paths), after_seq=0)
    assert collect(subscription, 3) == [1, 2, 3]
    subscription.close()


def test_a_forgotten_cursor_becomes_a_gap_and_the_oldest_event(daemon: Any, paths: Paths, refusal: Any) -> None:
    known = log(range(50, 53))

    def subscribe(peer: Any, params: dict[str, Any]) -> dict[str, Any]:
        if params["after_seq"] < 49:
            raise refusal("cursor_expired", oldest_seq=50)
        found: dict[str, Any] = known(peer, params)
        return found

    daemon.answers["events.subscribe"] = subscribe
    subscription = Subscription(Client(paths), after_seq=3)
    assert collect(subscription, 52) == ["gap", 50, 51, 52]
    subscription.close()


def test_another_store_is_read_from_its_beginning(daemon: Any, paths: Paths) -> None:
    daemon.answers["events.subscribe"] = log(range(1, 10))
    subscription = Subscription(Client(paths), after_seq=0)
    collect(subscription, 9)
    daemon.stop()
    Path(paths.socket).unlink()
    daemon.answers["system.hello"] = {"db_epoch": "another"}
    daemon.answers["events.subscribe"] = log(range(1, 4))
    daemon.start()
    assert collect(subscription, 3) == ["lost", 1, 2, 3]
    subscription.close()


def test_a_stream_that_breaks_again_and_again_ends_in_words(daemon: Any, paths: Paths, hang_up: Any) -> None:
    def subscribe(_peer: Any, _params: dict[str, Any]) -> None:
        raise hang_up

    daemon.answers["events.subscribe"] = subscribe
    subscription = Subscription(Client(paths), after_seq=0)
    with pytest.raises(Unreachable, match="in a row"):
        collect(subscription, 1)


def test_request_ids_are_long_and_never_alike() -> None:
    made = {client_module.request_id() for _ in range(100)}
    assert len(made) == 100
    assert {len(one) for one in made} == {32}
