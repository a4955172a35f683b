"""How does a daemon begin, live and end?"""

import os
import signal
import sqlite3
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrald.client import Connection, Dropped, Refused
from support.daemon import GRANTED, PATIENCE_S, SERVE, Daemon, daemon, throwaway_home

pytestmark = pytest.mark.slow

ECHO = {"id": "a", "action": "echo", "params": {"message": "hello"}}


def slow(seconds: float, id_: str = "a", **rest: Any) -> dict[str, Any]:
    return {"id": id_, "action": "tally.work", "params": {"pause_ms": int(seconds * 1000)}, **rest}


def wait_for(connection: Connection, *types: str) -> dict[str, Any]:
    """The next event of one of these types, from a subscription."""
    while True:
        message = connection.notification(PATIENCE_S)
        assert message is not None, f"none of {types} came"
        if message["method"] == "events.event" and message["params"]["event"]["type"] in types:
            event: dict[str, Any] = message["params"]["event"]
            return event


def subscribed(place: Daemon) -> Connection:
    connection = place.connect()
    connection.call("events.subscribe", {"after_seq": 0})
    return connection


def serve(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A daemon that is expected to end by itself."""
    return subprocess.run(
        [*SERVE, *arguments],
        env={**os.environ, "ORCHESTRAL_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


# --- the beginning ----------------------------------------------------------------------------------------------------


def test_a_second_daemon_on_the_same_home_ends_with_75_and_hurts_nobody():
    with daemon() as place:
        second = serve(place.home)
        assert second.returncode == 75
        assert "Another daemon" in second.stderr
        assert place.run(ECHO)["state"] == "completed"
        assert place.stop() == 0
        place.start()


def test_its_folders_and_its_socket_are_its_users_alone():
    with daemon() as place:
        assert stat.S_IMODE(os.stat(place.paths.socket).st_mode) == 0o600
        for folder in (place.paths.run_dir, place.paths.state_dir):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert stat.S_IMODE(os.stat(place.paths.store).st_mode) == 0o600
        place.stop()
        assert not os.path.exists(place.paths.socket)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("runtime: {max_paralel_steps: 3}", "max_parallel_steps"),
        ("observabilty: {log_level: info}", "observability"),
        ("plugins: {grants: {tally: {mood: none}}}", "mode"),
        ("runtime: {max_parallel_steps: 0}", "max_parallel_steps"),
        ("service: {drain_timeout: soon}", "500ms"),
        ("runtime: [", "orchestral.yaml"),
        ("just words", "sections"),
        ("a: &a [*a]", "orchestral.yaml"),
        ("runtime: {max_parallel_steps: 1}\nruntime: {max_parallel_steps: 2}", "runtime"),
        ("version: 2", "version"),
    ],
)
def test_a_configuration_that_cannot_be_used_ends_it_with_78_and_says_where(config: str, said: str):
    with throwaway_home() as home:
        Daemon(home, config)
        ended = serve(home)
        assert ended.returncode == 78, ended.stderr
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_configuration_file_that_is_named_and_missing_ends_it_with_78():
    with throwaway_home() as home:
        ended = serve(home, "--config", str(home / "nowhere.yaml"))
        assert ended.returncode == 78
        assert "nowhere.yaml" in ended.stderr


def test_a_store_of_a_newer_release_ends_it_with_78_and_is_left_alone():
    with daemon() as place:
        place.run(ECHO)
        place.stop()
        with sqlite3.connect(place.paths.store) as store:
            (version,) = store.execute("PRAGMA user_version").fetchone()
            store.execute(f"PRAGMA user_version = {version + 1}")
        store.close()
        before = Path(place.paths.store).read_bytes()
        ended = serve(place.home)
        assert ended.returncode == 78, ended.stderr
        assert "Upgrade orchestrald" in ended.stderr
        assert Path(place.paths.store).read_bytes() == before


def test_a_state_folder_that_is_open_to_others_ends_it_with_78_and_the_command_that_mends_it():
    with daemon() as place:
        place.stop()
        Path(place.paths.state_dir).chmod(0o750)
        ended = serve(place.home)
        assert ended.returncode == 78
        assert "chmod 700" in ended.stderr


def test_a_store_that_is_no_database_ends_it_in_words():
    with daemon() as place:
        place.stop()
        for suffix in ("", "-wal", "-shm"):
            Path(place.paths.store + suffix).unlink(missing_ok=True)
        Path(place.paths.store).write_bytes(b"this is no database, and was never meant to be one" * 100)
        ended = serve(place.home)
        assert ended.returncode in {70, 78}, ended.stderr
        assert "Traceback" not in ended.stderr, ended.stderr
        assert "store" in ended.stderr.lower()


def test_a_socket_that_a_killed_daemon_left_behind_is_replaced():
    with daemon() as place:
        place.kill()
        assert os.path.exists(place.paths.socket)
        place.start()
        assert place.call("system.ping") == {}


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_sigterm_lets_a_running_step_finish_and_the_next_start_goes_on_behind_it():
    with daemon(GRANTED, started=False) as place:
        place.drop_tally()
        place.start()
        events = subscribed(place)
        interaction_id = place.submit(slow(0.6), slow(0, "b", depends_on=["a"]))
        wait_for(events, "step.started")
        place.terminate()
        ended = wait_for(events, "step.succeeded")
        assert ended["step_id"] == "a"
        assert place.gone() == 0
        place.start()
        shown = place.end_of(interaction_id)
        assert shown["state"] == "completed"
        assert [step["attempt"] for step in shown["steps"]] == [1, 1]


@pytest.mark.kernel
def test_a_step_that_finishes_while_nobody_is_connected_is_written_down_before_the_end():
    with daemon(GRANTED, started=False) as place:
        place.drop_tally()
        place.start()
        for _ in range(5):
            events = subscribed(place)
            interaction_id = place.submit(slow(0.1))
            while wait_for(events, "step.started")["interaction_id"] != interaction_id:
                pass
            events.close()
            assert place.stop() == 0
            place.start()
            assert [step["attempt"] for step in place.end_of(interaction_id)["steps"]] == [1]


@pytest.mark.kernel
def test_a_daemon_that_drains_says_so_to_whoever_asks_for_work():
    with daemon(GRANTED, started=False) as place:
        place.drop_tally()
        place.start()
        events = subscribed(place)
        place.submit(slow(1))
        wait_for(events, "step.started")
        other = place.connect()
        place.call("system.shutdown")
        with pytest.raises(Refused) as caught:
            other.call("interaction.submit", {"plan": {"steps": [ECHO]}})
        assert caught.value.kind == "draining"
        assert other.call("system.info")["state"] == "draining"
        assert place.gone() == 0


@pytest.mark.kernel
def test_a_second_sigterm_does_not_wait_and_the_step_is_run_again_later():
    with daemon(GRANTED, started=False) as place:
        place.drop_tally()
        place.start()
        events = subscribed(place)
        interaction_id = place.submit(slow(30))
        wait_for(events, "step.started")
        place.terminate()
        other = place.connect()
        while other.call("system.info")["state"] != "draining":
            pass
        place.terminate()
        assert place.gone() == 0
        place.start()
        place.call("interaction.cancel", interaction_id=interaction_id)
        assert place.end_of(interaction_id)["steps"][0]["attempt"] == 2


@pytest.mark.kernel
def test_draining_is_bounded_by_what_the_configuration_says():
    with daemon(GRANTED + "service: {drain_timeout: 200ms}\n", started=False) as place:
        place.drop_tally()
        place.start()
        events = subscribed(place)
        place.submit(slow(60))
        wait_for(events, "step.started")
        assert place.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_stops_at_once_with_0(number: signal.Signals):
    with daemon() as place:
        assert place.process is not None
        place.process.send_signal(number)
        assert place.gone() == 0


def test_a_subscription_is_taken_up_again_by_the_last_seq_after_a_restart():
    with daemon() as place:
        place.run(ECHO)
        first = place.connect()
        first.call("events.subscribe", {"after_seq": 0})
        seen = [wait_for(first, "interaction.completed")["seq"]]
        place.kill()
        with pytest.raises(Dropped):
            first.notification(PATIENCE_S)
        place.start()
        second = place.connect()
        second.call("events.subscribe", {"after_seq": seen[-1]})
        place.run(ECHO)
        message = second.notification(PATIENCE_S)
        assert message is not None
        assert message["params"]["event"]["seq"] == seen[-1] + 1


def test_the_same_request_after_a_restart_gets_the_same_answer_and_starts_nothing():
    with daemon() as place:
        body = {"plan": {"steps": [ECHO]}, "request_id": "r1"}
        first = place.call("interaction.submit", **body)
        place.end_of(first["interaction_id"])
        place.kill()
        place.start()
        assert place.call("interaction.submit", **body) == {**first, "replayed": True}
        with pytest.raises(Refused) as caught:
            place.call("interaction.submit", **{**body, "workspace": "/elsewhere"})
        assert caught.value.kind == "conflict"
        assert len(place.events(types=["interaction.submitted"])) == 1


def test_an_answer_to_a_wait_is_remembered_as_a_whole():
    with daemon() as place:
        interaction_id = place.submit({"id": "ask", "kind": "wait_user"})
        place.end_of(interaction_id)
        body = {"interaction_id": interaction_id, "payload": 1, "request_id": "r1"}
        first = place.call("interaction.respond", **body)
        assert place.call("interaction.respond", **body) == {**first, "replayed": True}


def test_the_client_starts_a_daemon_when_none_runs():
    with throwaway_home() as home:
        place = Daemon(home)
        try:
            ran = place.orchestral("run", "say", "hello", "there", "--quiet")
            assert ran.returncode == 0, ran.stderr
            assert "hello there" in ran.stdout
            again = place.orchestral("status", "--json")
            assert again.returncode == 0
        finally:
            stopped = place.orchestral("stop")
        assert stopped.returncode == 0, stopped.stderr
        assert place.orchestral("run", "--no-start", "say", "hello").returncode == 69


def test_a_configuration_is_read_again_at_sighup_and_a_bad_one_changes_nothing():
    with daemon() as place:
        place.configure("observability: {log_level: warning}")
        assert place.call("system.reload")["config"] == "ok"
        place.configure("observability: {log_levle: info}")
        assert "log_level" in place.call("system.reload")["config"]
        assert place.run(ECHO)["state"] == "completed"
