"""Does a schedule start one interaction per moment and per file through the socket, also when the daemon is killed?"""

import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import Connection, Refused
from support.daemon import PATIENCE_S, Daemon, daemon

pytestmark = pytest.mark.slow

AT = {"goal": "note", "steps": [{"id": "a", "action": "echo", "params": {"message": "{{trigger.at}}"}}]}
PATH = {"goal": "note", "steps": [{"id": "a", "action": "echo", "params": {"message": "{{trigger.path}}"}}]}
SECOND = 1_000_000


class Ear:
    """A subscription to everything, over all lives of the daemon. `heard` is every event, once."""

    def __init__(self, place: Daemon) -> None:
        self.place = place
        self.heard: list[dict[str, Any]] = []
        self.connection: Connection | None = None

    def listen(self) -> None:
        after = self.heard[-1]["seq"] if self.heard else 0
        self.connection = self.place.connect()
        self.connection.call("events.subscribe", {"after_seq": after})

    def wait_for(self, type_: str, count: int) -> list[dict[str, Any]]:
        """The data of so many events of a type, counted from the first life."""
        while len(found := [event["data"] for event in self.heard if event["type"] == type_]) < count:
            assert self.connection is not None
            message = self.connection.notification(PATIENCE_S)
            assert message is not None, f"{len(found)} of {count} {type_}: {self.place.said}"
            if message["method"] == "events.event":
                self.heard.append(message["params"]["event"])
        return found


def check_one_interaction_per_occasion(place: Daemon, occasion: str) -> list[Any]:
    """What has fired, in order; each once, and with an interaction of its own that was started once."""
    events = place.events()
    fired = [event["data"] for event in events if event["type"] == "schedule.fired"]
    started = [event for event in events if event["type"] == "interaction.submitted"]
    assert len({data["interaction_id"] for data in fired}) == len(fired)
    assert {event["interaction_id"] for event in started} >= {data["interaction_id"] for data in fired}
    assert len({str(data[occasion]) for data in fired}) == len(fired)
    assert all(event["data"]["source"] == "schedule" for event in started)
    return [data[occasion] for data in fired]


def test_a_schedule_is_made_shown_paused_resumed_fired_and_removed_through_the_socket():
    with daemon() as place:
        made = place.call(
            "schedule.create", trigger={"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"}, plan=AT, name="mornings"
        )
        assert len(made["next"]) == 3
        assert place.call("schedule.get", schedule="mornings") == made
        (listed,) = place.call("schedule.list")["schedules"]
        assert (listed["schedule_id"], "plan" in listed) == (made["schedule_id"], False)
        assert place.call("schedule.pause", schedule="mornings")["state"] == "paused"
        assert place.call("schedule.resume", schedule=made["schedule_id"])["next"] == made["next"]
        run = place.call("schedule.run", schedule="mornings")
        assert place.end_of(run["interaction_id"])["state"] == "completed"
        assert place.call("schedule.get", schedule="mornings")["last"]["interaction_id"] == run["interaction_id"]
        assert place.call("schedule.delete", schedule="mornings")["name"] == "mornings"
        with pytest.raises(Refused, match="mornings"):
            place.call("schedule.get", schedule="mornings")


def test_a_request_that_is_repeated_after_a_kill_makes_one_schedule():
    with daemon() as place:
        given = {"trigger": {"every": "1h"}, "plan": AT, "request_id": "r1"}
        first = place.call("schedule.create", **given)
        place.kill()
        place.start()
        assert place.call("schedule.create", **given) == first | {"replayed": True}
        assert len(place.call("schedule.list")["schedules"]) == 1


def test_a_trigger_that_cannot_be_used_is_told_in_words():
    with daemon() as place:
        with pytest.raises(Refused, match="five fields"):
            place.call("schedule.create", trigger={"cron": "0 9 * *"}, plan=AT)
        with pytest.raises(Refused, match="none of every"):
            place.call("schedule.create", trigger={}, plan=AT)


def test_each_moment_fires_once_while_the_daemon_is_killed_between_and_during_firings():
    with daemon() as place:
        ear = Ear(place)
        made = place.call("schedule.create", trigger={"every": "1s"}, plan=AT, misfire="all")
        for life in range(2):
            ear.listen()
            ear.wait_for("schedule.fired", 2 * life + 1)
            # Half of the deaths come right behind a firing's first commit, the others between two firings.
            ear.wait_for("interaction.submitted" if life % 2 else "interaction.completed", 2 * life + 2)
            place.kill()
            place.start()
        ear.listen()
        ear.wait_for("schedule.fired", 5)
        place.call("schedule.pause", schedule=made["schedule_id"])
        moments = check_one_interaction_per_occasion(place, "moment")
        assert moments == [moments[0] + n * SECOND for n in range(len(moments))], "none is missing"
        states = place.call("interaction.list", limit=500)["interactions"]
        for row in states:
            assert place.end_of(row["interaction_id"])["state"] == "completed"


def test_moments_that_passed_while_the_daemon_was_dead_become_one_firing():
    with daemon() as place:
        ear = Ear(place)
        place.call("schedule.create", trigger={"every": "1s"}, plan=AT)
        ear.listen()
        ear.wait_for("schedule.fired", 1)
        place.kill()
        threading.Event().wait(2.5)  # the moments of a dead daemon pass on a real clock
        place.start()
        ear.listen()
        ear.wait_for("schedule.missed", 1)
        check_one_interaction_per_occasion(place, "moment")


def write(folder: Path, name: str) -> str:
    (folder / name).write_text("x", encoding="utf-8")
    return str(folder / name)


def test_each_file_fires_once_over_a_kill_and_its_name_is_only_a_name():
    with daemon() as place:
        folder = place.home / "in"
        folder.mkdir()
        write(folder, "before")
        place.call("schedule.create", trigger={"folder": str(folder), "settle": "100ms"}, plan=PATH)
        ear = Ear(place)
        ear.listen()
        names = ["yes", "{{x.y}}", "two\nlines"]
        expected = {write(folder, name) for name in names}
        ear.wait_for("schedule.fired", 3)
        place.kill()
        expected.add(write(folder, "while it was dead"))
        place.start()
        ear.listen()
        ear.wait_for("schedule.fired", 4)
        expected.add(write(folder, "yes"))  # another version of the same name
        ear.wait_for("schedule.fired", 5)
        fired = [data["path"] for data in ear.wait_for("schedule.fired", 5)]
        assert sorted(fired) == sorted([*expected, str(folder / "yes")])
        said = set()
        for data in ear.wait_for("schedule.fired", 5):
            end = place.end_of(data["interaction_id"])
            said.add(end["steps"][0]["output"]["result"])
        assert said == expected


def test_the_client_makes_shows_and_removes_schedules():
    with daemon() as place:
        added = place.orchestral("schedule", "add", "--every", "10m", "--name", "often", "echo", "hello")
        assert added.returncode == 0, added.stderr
        assert "often" in place.orchestral("schedule").stdout
        shown = place.orchestral("schedule", "show", "often").stdout
        assert "every 10 min" in shown
        assert "echo hello" in shown
        assert place.orchestral("schedule", "run", "often").returncode == 0
        assert "paused" in place.orchestral("schedule", "pause", "often").stdout
        assert place.orchestral("schedule", "resume", "often").returncode == 0
        assert place.orchestral("schedule", "remove", "often").returncode == 0
        assert "No schedules" in place.orchestral("schedule").stdout
        wrong = place.orchestral("schedule", "add", "--cron", "0 9 * *", "echo", "hello")
        assert wrong.returncode == 2
        assert "five fields" in wrong.stderr
